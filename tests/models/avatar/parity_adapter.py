"""The networks behind one door, for the parity check against the originals' reference outputs.

`build(name)` gives a network with the published state-dict keys; `run(name, module, inputs)`
evaluates it the way the engines do. `DROP` names the published keys that inference has no use
for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

DROP = {
    "audio2pose": ("netG.encoder.", "netD_motion."),
    "gfpgan": ("toRGB.", "stylegan_decoder.style_mlp."),
}


def build(name: str) -> nn.Module:
    """A network by its reference's name; `KeyError` where there is none."""
    match name:
        case "wav2lip":
            from models.avatar.wav2lip.net import Wav2Lip

            return Wav2Lip()
        case "s3fd":
            from models.avatar.face.s3fd import S3FD

            return S3FD()
        case "retinaface":
            from models.avatar.face.retinaface import RetinaFace

            return RetinaFace()
        case "fan98":
            from models.avatar.face.fan import FAN

            return FAN()
        case "face_3drecon":
            from models.avatar.sadtalker.recon import Reconstruction

            return Reconstruction()
        case "audio2exp":
            from models.avatar.sadtalker.audio2exp import Audio2Exp

            return Audio2Exp()
        case "audio2pose":
            from models.avatar.sadtalker.audio2pose import Audio2Pose

            return Audio2Pose()
        case "mapping" | "mapping_full":
            from models.avatar.sadtalker.mapping import Mapping

            return Mapping(70 if name == "mapping" else 73)
        case "kp_extractor":
            from models.avatar.sadtalker.keypoints import KeypointDetector

            return KeypointDetector()
        case "generator":
            from models.avatar.sadtalker.renderer import Renderer

            return Renderer()
        case "gfpgan":
            from models.avatar.gfpgan.restorer import Restorer

            return Restorer()
        case _:
            raise KeyError(name)


def run(name: str, module: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The network's outputs under the reference's names."""
    match name:
        case "wav2lip":
            return {"out": module(inputs["mel"], inputs["face"])}
        case "s3fd":
            pairs = module(inputs["x"])
            return {f"o{2 * i + j}": pair[j] for i, pair in enumerate(pairs) for j in range(2)}
        case "retinaface":
            return dict(zip(("loc", "conf", "landm"), module(inputs["x"]), strict=True))
        case "fan98":
            heats = module(inputs["x"])
            return {"heat3": heats[3], "heat0": heats[0]}
        case "face_3drecon":
            return {"coeff": module(inputs["x"])}
        case "audio2exp":
            return {"exp": module(inputs["mel"], inputs["ref"], inputs["ratio"])}
        case "audio2pose":
            return _audio2pose(module, inputs)
        case "mapping" | "mapping_full":
            outputs: dict[str, Tensor] = module(inputs["x"])
            return outputs
        case "kp_extractor":
            return {"value": module(inputs["x"])}
        case "generator":
            return _generator(module, inputs)
        case "gfpgan":
            return {"image": module(inputs["x"])}
        case _:
            raise KeyError(name)


def _audio2pose(module: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    from models.avatar.sadtalker.audio2pose import Audio2Pose

    assert isinstance(module, Audio2Pose)
    mel, reference = inputs["indiv_mels"][0], inputs["ref"][0, 0, -6:]
    speech = module.audio_encoder(mel[None])[0]
    pose = module(speech, reference, inputs["z"][:, 0], 3)  # the reference spoke in style 3
    return {"pose": pose[None], "audio_emb_last": module.audio_encoder(mel[None, -32:])}


def _generator(module: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    from models.avatar.sadtalker.renderer import Renderer, prepare

    assert isinstance(module, Renderer)
    prepare(module)
    source = module.encode(inputs["x"][:1], inputs["kp_source"][:1])
    motion = module.move(source, inputs["kp_driving"])
    feature = module.features(module.warp(source.volume, motion.flow))
    return {
        "prediction": module(source, inputs["kp_driving"]),
        "mask": motion.mask,
        "occlusion_map": motion.occlusion,
        "feature_3d": source.volume.expand(2, -1, -1, -1, -1),
        "deformation": motion.flow.permute(0, 4, 1, 2, 3),
        "fourth": torch.as_tensor(feature),
    }
