"""A model server as people write it: FastAPI and uvicorn in front of PyTorch on the CPU, one process.

usage: fastapi_serving.py MODEL PORT
MODEL is the model.safetensors of the published network. POST /predict takes {"instances": [image, ...]} and gives
{"predictions": [{"class": ..., "score": ...}, ...]}, as `trainyard-trainer serve` does.
"""
import sys

import torch
import torch.nn.functional as F
import uvicorn
from fastapi import FastAPI, Request
from safetensors.torch import load_file

weights = load_file(sys.argv[1])
app = FastAPI()


@torch.inference_mode()
def scores(pixels):
    x = ((pixels / 255 - 0.1307) / 0.3081).view(-1, 1, 28, 28)
    x = F.relu(F.conv2d(x, weights["conv1.weight"], weights["conv1.bias"]))
    x = F.max_pool2d(F.relu(F.conv2d(x, weights["conv2.weight"], weights["conv2.bias"])), 2)
    x = F.relu(F.linear(torch.flatten(x, 1), weights["fc1.weight"], weights["fc1.bias"]))
    return F.softmax(F.linear(x, weights["fc2.weight"], weights["fc2.bias"]), dim=1)


@app.get("/health")
async def health():
    return {"status": "ok"}


@app.post("/predict")
async def predict(request: Request):
    body = await request.json()
    best = scores(torch.tensor(body["instances"], dtype=torch.float32)).max(dim=1)
    return {
        "predictions": [
            {"class": number, "score": score}
            for number, score in zip(best.indices.tolist(), best.values.tolist())
        ]
    }


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
