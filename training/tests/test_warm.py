import numpy as np
import torch

from tsedge_training import catalogue, evaluate, shipped_files, text, train, warm
from tsedge_training.net import Encoder
from tsedge_training.paths import MODELS
from tsedge_training.recipes import EDGE_56_DEEP as SHIPPED


def test_a_deeper_net_starts_as_the_shipped_one(rng):
    file = MODELS / "encoder.onnx"
    shipped = evaluate.OnnxEncoder(file)
    smooth = rng.integers(0, 256, (64, 7, 7, 3), np.uint8)
    pictures = np.repeat(np.repeat(smooth, 8, 1), 8, 2)
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    net = Encoder(SHIPPED.dim, SHIPPED.channels, SHIPPED.blocks)
    warm.encoder(net, file, pixels)
    net.eval()
    with torch.no_grad():
        found = net(pixels).numpy()
    cosine = (found * shipped(pictures)).sum(1)
    assert cosine.mean() > 0.99, cosine.mean()


def test_its_text_side_gives_the_rows_of_the_shipped_packs():
    prompts = catalogue.load()
    _, shipped = shipped_files.rows(MODELS, prompts)
    model = train.new_model(SHIPPED, prompts)
    warm.text(model.head, text.embed(model.table.sentences), model.whitening, MODELS)
    with torch.no_grad():
        found = model.head.rows().numpy()
    np.testing.assert_allclose(found, shipped, atol=2e-3)  # prototypes are stored as f16
