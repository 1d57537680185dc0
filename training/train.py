"""Train the emoji model: autoencoder, transformer with text encoder, few-step variant; each within a wall-clock budget.

  python train.py --out OUT                      everything, about 25 minutes on one H200
  python train.py --out OUT --stop-after 565     the same in pieces: repeat until it says FINISHED
  python train.py --out OUT --from MODEL         go on from a model: its autoencoder as it is, its other networks trained on
  python train.py --out OUT --tiny               a test of the whole way on one CPU core, about a minute
  torchrun --nproc-per-node N train.py ...       on N GPUs: each sees pictures of its own, and gradients are averaged
"""
import argparse
import os
import shutil
import tarfile

import torch
from tokenizers import Tokenizer

import recipe as recipes
from checkpoint import read_network
from dataset.drawings import Plan
from dataset.pack import Pack
from dataset.tokens import tokenize
from export import LARGEST_FILE, write_checkpoint
from networks.autoencoder import autoencoder_config
from networks.text_encoder import TextEncoder, text_encoder_config
from networks.transformer import Transformer, transformer_config
from pictures import MODEL, write_samples
from session import OutOfTime, Session
from stages.autoencoder import encode_all, train_autoencoder
from stages.few_step import is_changed, train_few_step
from stages.transformer import Batches, train_transformer

HERE = os.path.dirname(os.path.abspath(__file__))


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.path.join(HERE, "data", "emoji.pack"))
    parser.add_argument("--out", default=os.path.join(HERE, "out"), help="checkpoints, log, samples, export")
    parser.add_argument("--from", dest="start", default="", help="a model folder whose networks are the start")
    parser.add_argument("--stop-after", type=float, default=0, help="end by about so many seconds, to be gone on with")
    parser.add_argument("--collect", default="", help="a folder for the results, in few files of at most 15 MiB")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--no-compile", action="store_true")
    recipes.add_options(parser)
    return parser.parse_args()


def load_data(session, recipe, path, tokenizer):
    """Images and plan of this process's pictures, and the captions as (ids, lengths) per row."""
    pack = Pack(path, recipe.limit)
    seed = recipe.seed + 1000 * session.number
    plan = Plan(pack, recipe, seed)
    columns = {k: v.to(session.device) for k, v in plan.columns.items()}
    captions = session.own("captions.pt")
    if not session.has(captions):
        ids, lengths = tokenize(tokenizer, plan.captions(recipe.captions, seed + 3), recipe.tokens)
        shape = (len(plan), recipe.captions)
        session.save((ids.view(*shape, recipe.tokens), lengths.view(shape)), captions)
    images = None if session.has(session.own("latents.pt")) else pack.images().to(session.device)
    counts = {s["id"]: sum(p[1] == i for p in pack.pictures) for i, s in enumerate(pack.styles)}
    session.say("data", drawings=len(pack.pictures), pictures=len(plan), **counts)
    session.record(drawings=counts, pictures=len(plan) * session.processes)
    return images, columns, len(plan), session.load(captions)


def start_autoencoder(session, recipe, start, images, columns, count):
    if start:
        autoencoder = read_network(start, "vae").requires_grad_(False)
        return autoencoder.to(session.device, memory_format=torch.channels_last)
    config = autoencoder_config(recipe.vae_channels, groups=recipe.vae_groups)
    return train_autoencoder(session, recipe, config, images, columns, count)


def start_transformer(session, recipe, start, vocabulary):
    """The transformer and the text encoder that training starts with."""
    if start:
        return read_network(start, "transformer").to(session.device), read_network(start, "text_encoder").to(session.device)
    torch.manual_seed(recipe.seed + 10)
    sizes = dict(width=64, layers=2, heads=2, head=32, hidden=64) if recipe.width < 128 else {}
    text_encoder = TextEncoder(text_encoder_config(vocabulary, **sizes)).to(session.device)
    config = transformer_config(text_encoder.config["d_model"], recipe.width, recipe.depth, recipe.head)
    return Transformer(config).to(session.device), text_encoder


def train(session, recipe, data, vocabulary, start):
    """All stages in turn, from the networks of the model folder `start` if given. Returns what write_checkpoint takes."""
    images, columns, count, captions = data
    autoencoder = start_autoencoder(session, recipe, start, images, columns, count)
    if autoencoder is None or session.ends_within(60 if session.cuda else 0):
        raise OutOfTime
    latents = encode_all(session, autoencoder, images, columns, count)
    if not start:   # the factor that gives the latents deviation 1
        autoencoder.config["scaling_factor"] = round(session.agreed(1 / latents.float().std().item()), 6)
    scaling = autoencoder.config["scaling_factor"]
    transformer, text_encoder = start_transformer(session, recipe, start, vocabulary)
    networks = (transformer, text_encoder, autoencoder)
    parameters = [sum(p.numel() for p in n.parameters()) for n in networks]
    session.say("parameters", **dict(zip(("transformer", "text_encoder", "autoencoder"), parameters)))
    session.record(parameters=parameters)
    batches = Batches(session, recipe, latents, scaling, captions, columns["weight"])
    trained = dict(networks=networks, scaling=scaling)
    if not train_transformer(session, recipe, transformer, text_encoder, batches) or session.ends_within(60):
        return trained, False
    few_step, done = train_few_step(session, recipe, transformer, text_encoder, batches)
    changed = [n for n in transformer.state_dict() if is_changed(n, recipe)]
    return dict(trained, few_step=few_step, changed=changed), done


def collect(session, folder):
    """The export as a tar file in parts, and samples, report and log."""
    os.makedirs(folder, exist_ok=True)
    archive = session.path("export.tar")
    with tarfile.open(archive, "w") as tar:
        tar.add(session.path("export"), "export")
    with open(archive, "rb") as f:
        for i, part in enumerate(iter(lambda: f.read(LARGEST_FILE), b"")):
            with open(os.path.join(folder, f"export.tar.{i:02d}"), "wb") as out:
                out.write(part)
    with tarfile.open(os.path.join(folder, "extras.tar"), "w") as tar:
        for name in ("train.log", "report.json", "reconstructions.png", "samples_few_step.png"):
            if session.has(name):
                tar.add(session.path(name), name)
    shutil.copy(session.path("samples.png"), folder)


def finish(session, recipe, trained, tokenizer, collected):
    """Samples, what export.py takes, and the export; and the results in the folder `collected` if it is named."""
    networks, scaling, few_step = trained["networks"], trained["scaling"], trained.get("few_step")
    write_samples(session, recipe, networks, scaling, tokenizer, "samples.png")
    if few_step is not None:
        write_samples(session, recipe, (few_step, *networks[1:]), scaling, tokenizer, "samples_few_step.png", few_steps=4)
    session.save(trained, "trained.pt")
    session.say("exported", bytes=write_checkpoint(session.path("export"), **trained))
    if collected:
        collect(session, collected)


def main():
    options = read_options()
    session, recipe = Session(options.out, options.stop_after, options.cpu, not options.no_compile), recipes.from_options(options)
    device = torch.cuda.get_device_name() if session.cuda else "CPU"
    session.say("start", torch=torch.__version__, device=device, processes=session.processes, compiled=session.compiles)
    session.record(device=device, processes=session.processes, torch=torch.__version__, recipe=vars(recipe))
    tokenizer = Tokenizer.from_file(os.path.join(MODEL, "tokenizer", "tokenizer.json"))
    done = False
    try:
        data = load_data(session, recipe, options.data, tokenizer)
        trained, done = train(session, recipe, data, tokenizer.get_vocab_size(), options.start)
        if session.first:
            finish(session, recipe, trained, tokenizer, options.collect)
    except OutOfTime:
        pass
    session.say("FINISHED" if done else "STOPPED: the same command goes on")
    session.close()


if __name__ == "__main__":
    main()
