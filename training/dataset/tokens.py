"""Captions as token ids."""
import numpy as np
import torch


def tokenize(tokenizer, texts, longest):
    """int16 ids [N, longest], padded with 0, and token counts [N], the end token (1) included."""
    ids = np.zeros((len(texts), longest), dtype=np.int16)
    counts = np.zeros(len(texts), dtype=np.int16)
    for start in range(0, len(texts), 50000):
        for i, encoding in enumerate(tokenizer.encode_batch(texts[start:start + 50000]), start):
            row = encoding.ids if len(encoding.ids) <= longest else encoding.ids[:longest - 1] + [1]
            ids[i, :len(row)], counts[i] = row, len(row)
    return torch.from_numpy(ids), torch.from_numpy(counts)
