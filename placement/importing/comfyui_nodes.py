"""Which kinds of ComfyUI nodes call a model, which load one, and which do neither."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """A kind of node that runs a model.

    Parameters
    ----------
    inputs : tuple of str
        Where the model comes in; the first that is connected counts.
    type : str
        Type of the model.
    """

    inputs: tuple[str, ...]
    type: str


@dataclass(frozen=True, slots=True)
class Loader:
    """A kind of node that loads a model.

    Parameters
    ----------
    files : tuple of str
        Inputs that name what is loaded; several make one model together.
    parts : tuple of str
        What each output is a part of; nothing where it is the whole.
    """

    files: tuple[str, ...]
    parts: tuple[str, ...] = ("",)


_SAMPLER = Caller(("model", "guider"), "diffusion")
_TEXT = Caller(("clip",), "text-encoder")
_VAE = Caller(("vae",), "vae")

CALLERS: dict[str, Caller] = {
    **dict.fromkeys(
        (
            "KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced",
            "KSampler (Efficient)", "UltimateSDUpscale",
        ),
        _SAMPLER,
    ),
    **dict.fromkeys(
        (
            "CLIPTextEncode", "CLIPTextEncodeSDXL", "CLIPTextEncodeSDXLRefiner",
            "CLIPTextEncodeFlux", "CLIPTextEncodeSD3", "CLIPTextEncodeHunyuanDiT",
            "CLIPTextEncodePixArtAlpha", "CLIPTextEncodeLumina2", "TextEncodeQwenImageEdit",
            "TextEncodeQwenImageEditPlus", "TextEncodeAceStepAudio",
        ),
        _TEXT,
    ),
    **dict.fromkeys(
        (
            "VAEDecode", "VAEEncode", "VAEDecodeTiled", "VAEEncodeTiled", "VAEEncodeForInpaint",
            "VAEDecodeAudio", "VAEEncodeAudio", "VAEDecodeHunyuan3D",
        ),
        _VAE,
    ),
    "CLIPVisionEncode": Caller(("clip_vision",), "vision-encoder"),
    "ImageUpscaleWithModel": Caller(("upscale_model",), "upscaler"),
    "FrameInterpolate": Caller(("interp_model", "model"), "frame-interpolation"),
}  # fmt: skip

_CHECKPOINT = ("", ":clip", ":vae")

LOADERS: dict[str, Loader] = {
    "CheckpointLoaderSimple": Loader(("ckpt_name",), _CHECKPOINT),
    "CheckpointLoaderNF4": Loader(("ckpt_name",), _CHECKPOINT),
    "unCLIPCheckpointLoader": Loader(("ckpt_name",), (*_CHECKPOINT, ":clip_vision")),
    "ImageOnlyCheckpointLoader": Loader(("ckpt_name",), ("", ":clip_vision", ":vae")),
    "UNETLoader": Loader(("unet_name",)),
    "UnetLoaderGGUF": Loader(("unet_name",)),
    "CLIPLoader": Loader(("clip_name",)),
    "CLIPLoaderGGUF": Loader(("clip_name",)),
    "DualCLIPLoader": Loader(("clip_name1", "clip_name2")),
    "DualCLIPLoaderGGUF": Loader(("clip_name1", "clip_name2")),
    "TripleCLIPLoader": Loader(("clip_name1", "clip_name2", "clip_name3")),
    "QuadrupleCLIPLoader": Loader(("clip_name1", "clip_name2", "clip_name3", "clip_name4")),
    "VAELoader": Loader(("vae_name",)),
    "CLIPVisionLoader": Loader(("clip_name",)),
    "UpscaleModelLoader": Loader(("model_name",)),
    "ControlNetLoader": Loader(("control_net_name",)),
    "DiffControlNetLoader": Loader(("control_net_name",)),
}

INSIDE = {
    "LoraLoader": "adapters",
    "LoraLoaderModelOnly": "adapters",
    "ControlNetApply": "control nets",
    "ControlNetApplyAdvanced": "control nets",
    "HypernetworkLoader": "hypernetworks",
    "IPAdapterUnifiedLoader": "image adapters",
}
"""Kinds that change how a model runs: what they load has no call of its own."""

FOR_PEOPLE = ("Note", "MarkdownNote")
WIRES = ("Reroute", "PrimitiveNode")

PLAIN = frozenset(
    """
    EmptyLatentImage EmptySD3LatentImage EmptyHunyuanLatentVideo EmptyLatentAudio
    EmptyFlux2LatentImage EmptyImage LoadImage LoadImageMask LoadAudio LoadVideo LoadLatent
    SaveImage SaveAnimatedWEBP SaveAnimatedPNG SaveAudio SaveVideo SaveLatent SaveWEBM PreviewImage
    PreviewAudio PreviewAny CreateVideo GetVideoComponents
    ConditioningCombine ConditioningConcat ConditioningAverage ConditioningSetArea
    ConditioningSetMask ConditioningSetTimestepRange ConditioningZeroOut FluxGuidance
    InpaintModelConditioning ReferenceLatent
    LatentUpscale LatentUpscaleBy LatentComposite LatentBlend LatentFromBatch RepeatLatentBatch
    SetLatentNoiseMask VAEEncodeMask
    ImageScale ImageScaleBy ImageScaleToTotalPixels ImageBatch ImageInvert ImageCrop ImageBlend
    ImageBlur ImageSharpen ImageQuantize ImagePadForOutpaint ImageStitch ImageToMask MaskToImage
    InvertMask GrowMask FeatherMask MaskComposite ImageCompositeMasked Canny GetImageSize
    BasicGuider CFGGuider DualCFGGuider BasicScheduler KarrasScheduler ExponentialScheduler
    SplitSigmas FlipSigmas RandomNoise DisableNoise KSamplerSelect SamplerEulerAncestral
    Flux2Scheduler
    ModelSamplingFlux ModelSamplingSD3 ModelSamplingAuraFlow ModelSamplingDiscrete CLIPSetLastLayer
    FreeU FreeU_V2 PerturbedAttentionGuidance RescaleCFG CFGNorm PatchModelAddDownscale
    TomePatchModel
    PrimitiveInt PrimitiveFloat PrimitiveString PrimitiveBoolean PrimitiveStringMultiline
    StringConcatenate ComfySwitchNode
    """.split()  # noqa: SIM905 - a table of names
)
"""Kinds that run on the processor, or only prepare what another runs."""
