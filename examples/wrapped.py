"""A model of transformers in a class of your own: for what `hf:owner/model` does not offer.

Here: the first layers alone, and the transcription head left out. Run it with
`--encoder-args '{"model": "facebook/wav2vec2-large-lv60", "layers": 12}'`; without a model, a small
one with random weights is taken.
"""

import torch

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "conv_dim": (16,) * 7}
SHORTEST = 400  # samples of its first frame


class WrappedEncoder(torch.nn.Module):
    """The first layers of a wav2vec 2.0 model whose convolutions are normed frame by frame."""

    def __init__(self, model=None, layers=1):
        super().__init__()
        import transformers  # heavy, so not before it is needed

        if model is None:
            config = transformers.Wav2Vec2Config(**SMALL, feat_extract_norm="layer")
            self.model = transformers.Wav2Vec2Model(config)
        else:
            self.model = transformers.Wav2Vec2Model.from_pretrained(model)
        del self.model.encoder.layers[layers:]
        self.output_dim = self.model.config.hidden_size

    def forward(self, audio, mask):
        """Norm each window by its own samples alone, and mark the frames that are its own."""
        lengths = mask.sum(1).clamp(min=SHORTEST)  # zeros behind what is too short for a frame
        audio = torch.nn.functional.pad(audio, (0, max(0, SHORTEST - audio.shape[1])))
        kept = torch.arange(audio.shape[1], device=audio.device)[None] < lengths[:, None]
        mean = (audio * kept).sum(1, keepdim=True) / lengths[:, None]
        centred = (audio - mean) * kept
        deviation = (centred.square().sum(1, keepdim=True) / lengths[:, None] + 1e-7).sqrt()
        features = self.model(centred / deviation, attention_mask=kept.long()).last_hidden_state
        frames = self.model._get_feat_extract_output_lengths(lengths)
        places = torch.arange(features.shape[1], device=audio.device)
        return features, places[None] < frames[:, None]
