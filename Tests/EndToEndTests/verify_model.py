#!/usr/bin/env python3
"""Checks a trained model with code that shares nothing with the trainer: NumPy on PyTorch's layouts.

usage: verify_model.py OUTPUT_DIR DATASET_DIR

Reads OUTPUT_DIR/model.safetensors and metrics.json, runs the network over the 10,000 test images of DATASET_DIR, and
compares accuracy and loss with the last epoch's. Needs numpy only. Exit status 0: they agree.
"""

import gzip
import json
import struct
import sys
from pathlib import Path

import numpy as np

SHAPES = {
    "conv1.weight": (32, 1, 3, 3), "conv1.bias": (32,), "conv2.weight": (64, 32, 3, 3), "conv2.bias": (64,),
    "fc1.weight": (128, 9216), "fc1.bias": (128,), "fc2.weight": (10, 128), "fc2.bias": (10,),
}


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", (name, entry["dtype"])
        start, end = entry["data_offsets"]
        values = np.frombuffer(data[8 + length + start : 8 + length + end], "<f4")
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def read_idx(path, header):
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def convolve(x, weight, bias):
    """PyTorch's Conv2d with a 3×3 kernel and ReLU: x (C, N, H, W), weight (O, C, 3, 3); planes first, for speed."""
    channels, n, height, width = x.shape
    rows, columns = height - 2, width - 2
    patches = np.empty((channels, 9, n, rows, columns), np.float32)
    for r in range(3):
        for s in range(3):
            patches[:, 3 * r + s] = x[:, :, r : r + rows, s : s + columns]
    y = weight.reshape(len(weight), -1) @ patches.reshape(channels * 9, -1)
    y += bias[:, None]
    return np.maximum(y, 0, out=y).reshape(-1, n, rows, columns)


def forward(t, x):
    x = convolve(convolve(x, t["conv1.weight"], t["conv1.bias"]), t["conv2.weight"], t["conv2.bias"])
    x = np.maximum(np.maximum(x[:, :, ::2, ::2], x[:, :, ::2, 1::2]), np.maximum(x[:, :, 1::2, ::2], x[:, :, 1::2, 1::2]))
    x = x.transpose(1, 0, 2, 3).reshape(x.shape[1], -1)
    x = np.maximum(x @ t["fc1.weight"].T + t["fc1.bias"], 0)
    return x @ t["fc2.weight"].T + t["fc2.bias"]


def main():
    output, dataset = Path(sys.argv[1]), Path(sys.argv[2])
    tensors = read_safetensors(output / "model.safetensors")
    assert {name: value.shape for name, value in tensors.items()} == SHAPES, "names and shapes are PyTorch's"
    metrics = json.loads((output / "metrics.json").read_text())
    assert len({len(column) for column in metrics.values()}) == 1, "the arrays have one length"
    pixels = read_idx(dataset / "t10k-images-idx3-ubyte.gz", 16).reshape(1, -1, 28, 28)
    labels = read_idx(dataset / "t10k-labels-idx1-ubyte.gz", 8)
    images = (pixels.astype(np.float32) / 255 - np.float32(0.1307)) / np.float32(0.3081)
    batches = [forward(tensors, images[:, i : i + 20]) for i in range(0, len(labels), 20)]
    logits = np.concatenate(batches).astype(np.float64)
    accuracy = 100 * float((logits.argmax(1) == labels).mean())
    largest = logits.max(1)
    loss = float((np.log(np.exp(logits - largest[:, None]).sum(1)) + largest - logits[np.arange(len(labels)), labels]).mean())
    print(f"NumPy: accuracy {accuracy:.2f} %, loss {loss:.6f}", end="; ")
    print(f"metrics.json: accuracy {metrics['test_accuracy'][-1]:.2f} %, loss {metrics['test_loss'][-1]:.6f}")
    assert len(labels) == 10_000
    assert abs(accuracy - metrics["test_accuracy"][-1]) <= 0.05, "accuracies differ by more than 0.05 points"
    assert abs(loss - metrics["test_loss"][-1]) <= 1e-4, "losses differ"


if __name__ == "__main__":
    main()
