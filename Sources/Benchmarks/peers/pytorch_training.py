"""The published network in PyTorch on the CPU, driven by lines of a named pipe, one JSON line for each.

  round STEPS  trains on, and tells the images a second
  train SEED EPOCHS  trains a new network and tells the accuracy over the test set after the last epoch

usage: pytorch_training.py FOLDER BATCH THREADS PIPE
FOLDER has the four IDX files of a dataset of the MNIST family, plain or in gzip.
"""
import gzip
import json
import os
import sys
import time

import torch
import torch.nn.functional as F


def read(folder, name, header):
    path = os.path.join(folder, name)
    data = open(path, "rb").read() if os.path.exists(path) else gzip.open(path + ".gz").read()
    return torch.frombuffer(bytearray(data[header:]), dtype=torch.uint8)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 32, 3)
        self.conv2 = torch.nn.Conv2d(32, 64, 3)
        self.fc1 = torch.nn.Linear(9216, 128)
        self.fc2 = torch.nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        return F.log_softmax(self.fc2(F.relu(self.fc1(torch.flatten(x, 1)))), dim=1)


def normalized(pixels):
    return ((pixels.float() / 255 - 0.1307) / 0.3081).view(-1, 1, 28, 28)


class Run:
    """One network, its optimizer, and its place in the data."""

    def __init__(self, seed, pixels, labels, batch):
        torch.manual_seed(seed)
        self.network = Network()
        # fused: the fastest of PyTorch's own; the default takes several passes over the parameters.
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3, fused=True)
        self.pixels, self.labels, self.batch = pixels, labels, batch
        self.order = torch.randperm(len(labels))
        self.place = 0

    def step(self):
        if self.place >= len(self.order):
            self.order, self.place = torch.randperm(len(self.labels)), 0
        numbers = self.order[self.place:self.place + self.batch]
        self.place += self.batch
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.nll_loss(self.network(normalized(self.pixels[numbers])), self.labels[numbers])
        loss.backward()
        self.optimizer.step()
        # As ours, which looks at every loss.
        loss.item()
        return len(numbers)


def accuracy(network, pixels, labels):
    with torch.no_grad():
        correct = sum(
            int((network(normalized(pixels[first:first + 1000])).argmax(1) == labels[first:first + 1000]).sum())
            for first in range(0, len(labels), 1000))
    return 100 * correct / len(labels)


def main():
    folder, batch = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(int(sys.argv[3]))
    data = {
        stem: (read(folder, stem + "-images-idx3-ubyte", 16).view(-1, 28, 28),
               read(folder, stem + "-labels-idx1-ubyte", 8).long()) for stem in ("train", "t10k")
    }
    run = Run(0, *data["train"], batch)
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    # Open for writing too: so it does not end when the other side closes it.
    for line in open(os.open(sys.argv[4], os.O_RDWR)):
        words = line.split()
        if words[0] == "round":
            start = time.monotonic()
            images = sum(run.step() for _ in range(int(words[1])))
            print(json.dumps({"imagesPerSecond": images / (time.monotonic() - start)}), flush=True)
        else:
            other = Run(int(words[1]), *data["train"], batch)
            for _ in range(int(words[2]) * ((len(data["train"][1]) + batch - 1) // batch)):
                other.step()
            print(json.dumps({"accuracy": accuracy(other.network, *data["t10k"])}), flush=True)


main()
