"""Runs the stages one by one with diffusers, each without the others in memory, and measures GPU memory and time.

    python bench/recipe_diffusers.py CHECKPOINT [--size 1024] [--steps 20] [--guidance-scale 4.5] [--output cat.png]

T5 is loaded in 8 bits (bitsandbytes), encodes the prompt and is deleted; the transformer denoises without a text
encoder and is deleted; the autoencoder decodes. The script prints the seconds of each part and the highest reading of
nvidia-smi, taken every 0.05 s, as one line of JSON. It needs torch with CUDA, diffusers, transformers, accelerate and
bitsandbytes.
"""

import argparse
import gc
import json
import subprocess
import threading
import time

STARTED = time.perf_counter()

QUERY = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-lms", "50"]


class GpuMemory:
    """The highest reading of nvidia-smi since the last read, in MiB."""

    def __init__(self):
        self.peak = 0
        self.process = subprocess.Popen(QUERY, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.peak = max(self.peak, int(line))

    def take(self):
        time.sleep(0.1)
        peak, self.peak = self.peak, 0
        return peak


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("--prompt", default="cute cat")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance-scale", type=float, default=4.5)
    parser.add_argument("--output", default="cat.png")
    args = parser.parse_args()
    memory = GpuMemory()

    import torch
    from diffusers import PixArtAlphaPipeline
    from transformers import BitsAndBytesConfig, T5EncoderModel

    parts = {"imports": {"seconds": round(time.perf_counter() - STARTED, 2)}}

    def flush():
        gc.collect()
        torch.cuda.empty_cache()

    def part(name, work):
        started = time.perf_counter()
        made = work()
        torch.cuda.synchronize()
        parts[name] = {"seconds": round(time.perf_counter() - started, 2), "peak_mib": memory.take()}
        return made

    def encode():
        text_encoder = T5EncoderModel.from_pretrained(
            args.checkpoint,
            subfolder="text_encoder",
            quantization_config=BitsAndBytesConfig(load_in_8bit=True),
            device_map="auto",
        )
        pipe = PixArtAlphaPipeline.from_pretrained(
            args.checkpoint, text_encoder=text_encoder, transformer=None, device_map="balanced"
        )
        with torch.no_grad():
            embeds = pipe.encode_prompt(args.prompt)
        del text_encoder, pipe
        flush()
        return embeds

    prompt_embeds, prompt_mask, negative_embeds, negative_mask = part("encode", encode)

    def load():
        return PixArtAlphaPipeline.from_pretrained(
            args.checkpoint, text_encoder=None, torch_dtype=torch.float16
        ).to("cuda")

    pipe = part("load", load)

    def denoise():
        return pipe(
            negative_prompt=None,
            prompt_embeds=prompt_embeds.half(),
            negative_prompt_embeds=negative_embeds.half(),
            prompt_attention_mask=prompt_mask,
            negative_prompt_attention_mask=negative_mask,
            num_images_per_prompt=1,
            num_inference_steps=args.steps,
            guidance_scale=args.guidance_scale,
            height=args.size,
            width=args.size,
            output_type="latent",
        ).images

    latents = part("denoise", denoise)
    del pipe.transformer
    flush()
    memory.take()

    def decode():
        with torch.no_grad():
            image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]
        image = pipe.image_processor.postprocess(image, output_type="pil")[0]
        image.save(args.output)

    part("decode", decode)
    parts["whole"] = {"seconds": round(time.perf_counter() - STARTED, 2)}
    print(json.dumps(parts))
    memory.process.kill()


main()
