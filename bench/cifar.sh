#!/bin/sh
# ResNet-20 on CIFAR-10 in five formats, on a CUDA device: bench/cifar.sh FOLDER [EPOCHS [SEEDS]]
#
# FOLDER holds the usual cifar-10-batches-py. Prints the table at the end; killed, the same command
# goes on. mlsmac on the PATH, or the environment's in front of it.
set -eu
mlsmac train --data "$1" --model resnet-20 --epochs "${2:-12}" --seeds "${3:-1}" --device cuda \
    --arm float32 --arm "mls --element 2,4" --arm "mls --element 2,1" --arm fp8 --arm dfp \
    -o build/cifar
