"""A small transformer learns to continue the tokens of `paper`.

    vqcodec tokens my_photos/ -o photos.npz --model paper      # more than eight
    python examples/continue_tokens.py photos.npz continued.png

It sees squares of 16x16 tokens, 64x64 pixels, and prints how many bits a token takes on pictures
that it has not seen: 9 if nothing were learnt. The picture shows eight squares, and below them
the same with their lower halves made up.
"""

import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from vqcodec import tokens

SIDE, WIDTH, SECONDS = 16, 128, 60


class Transformer(nn.Module):
    """Predicts each token from those before it, row by row; it reads and writes codewords."""

    def __init__(self, codewords):
        super().__init__()
        scale = codewords.shape[1] ** 0.5
        self.register_buffer("codewords", scale * F.normalize(torch.tensor(codewords)))
        self.read = nn.Linear(codewords.shape[1], WIDTH)
        self.places = nn.Parameter(0.1 * torch.randn(SIDE**2, WIDTH))
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 3 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(WIDTH), False)
        self.write = nn.Linear(WIDTH, codewords.shape[1])

    def forward(self, before):
        """Map tokens (B, n) to the logits of tokens 0 to n, (B, n + 1, K)."""
        read = F.pad(self.read(self.codewords[before]), (0, 0, 1, 0))
        causal = nn.Transformer.generate_square_subsequent_mask(read.shape[1])
        x = self.layers(read + self.places[: read.shape[1]], causal, is_causal=True)
        return self.write(x) @ self.codewords.T


def squares(grid, count):
    """Cut squares at random places out of tokens (rows, columns, 1): (count, SIDE * SIDE)."""
    corners = [[int(torch.randint(n - SIDE + 1, ())) for n in grid.shape[:2]] for _ in range(count)]
    return torch.stack([grid[r : r + SIDE, c : c + SIDE].flatten() for r, c in corners])


def loss_of(model, batch):
    """Return nats a token of squares (B, SIDE * SIDE)."""
    return F.cross_entropy(model(batch[:, :-1]).transpose(1, 2), batch)


torch.manual_seed(0)
pictures = [each for each in tokens.read(sys.argv[1]) if min(each.indices.shape[:2]) >= SIDE]
[(codewords,)] = tokens.codebooks(sys.argv[1]).values()
grids = [each.tensor() for each in pictures]
seen, unseen = grids[8:], torch.cat([squares(grid, 8) for grid in grids[:8]])
model = Transformer(codewords)
optimiser = torch.optim.AdamW(model.parameters())
end = time.process_time() + SECONDS
while (left := end - time.process_time()) > 0:
    optimiser.param_groups[0]["lr"] = 1e-3 * min(1.0, 2 * left / SECONDS)
    chosen = torch.randint(len(seen), (8,))
    loss = loss_of(model, torch.cat([squares(seen[number], 1) for number in chosen]))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
with torch.no_grad():
    print(f"{loss_of(model.eval(), unseen) / math.log(2):.2f} bits a token of unseen pictures")
    begun = unseen[::8, : SIDE**2 // 2]
    while begun.shape[1] < SIDE**2:
        begun = torch.cat([begun, model(begun)[:, -1].softmax(1).multinomial(1)], 1)
rows = [each.view(8, SIDE, SIDE).transpose(0, 1).flatten(1) for each in (unseen[::8], begun)]
shown = torch.cat(rows)[:, :, None].numpy()
shape = (4 * shown.shape[0], 4 * shown.shape[1])
made = tokens.Tokens(indices=shown, shape=shape, quality=0, model=pictures[0].model)
tokens.to_image(made).save(sys.argv[2])
