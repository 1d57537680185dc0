"""Which emoji go into the data set, which drawings show them, and what they are called."""
import os
import re

from dataset.sources import STYLES, code_points, drawings, read_json

KIND_OF_GROUP = {0: "face", 1: "person", 3: "animal", 4: "food", 5: "place", 6: "object", 7: "object", 8: "symbol"}
KIND_OF_SUBGROUPS = {"plant": (40, 41), "vehicle": (54, 55, 56), "body": (16, 17, 18, 19, 20, 21, 22)}
WEIGHT_OF_GROUP = {0: 1.2, 1: 0.55, 3: 1.5, 4: 1.3, 5: 1.1, 6: 1.0, 7: 1.0, 8: 0.6}
SKIN_TONES = {"1f3fb": "light skin", "1f3fe": "medium dark skin", "1f3ff": "dark skin"}
WITH_SKIN_TONES = {
    "man", "woman", "boy", "girl", "baby", "person", "child", "thumbs up", "waving hand", "clapping hands",
    "raised fist", "victory hand", "ok hand", "flexed biceps", "folded hands", "princess", "old man", "old woman",
    "santa claus", "superhero", "person running", "cook", "astronaut", "health worker"}
STYLES_WITH_SKIN_TONES = {"fluent3d", "noto"}
SYMBOLS = {
    "warning", "no entry", "prohibited", "radioactive", "biohazard", "right arrow", "left arrow", "up arrow",
    "down arrow", "peace symbol", "yin yang", "recycling symbol", "check mark button", "cross mark",
    "red question mark", "red exclamation mark", "infinity", "splatter", "sparkle", "wheelchair symbol",
    "no smoking", "heavy dollar sign", "star of david", "medical symbol", "fleur-de-lis", "eight-spoked asterisk"}
CLOCKS = {"three o’clock", "ten o’clock", "one-thirty", "twelve o’clock"}
LEFT_OUT = {"middle finger", "mx claus", "woman feeding baby", "man feeding baby", "person feeding baby"}
GEOMETRIC_LEFT_OUT = re.compile(r"medium|small|button|diamond with a dot")
# drawings whose meaning changes in a mirror: text, directions, digits
NOT_MIRRORED = re.compile(
    r"left|right|o’clock|thirty|moon|place medal|hundred|zzz|8 ball|calendar|musical (score|note)|stop sign|question"
    r"|dollar|yen|euro|pound|atm|slot machine|mahjong|playing cards|joker|chart|check mark|love hotel|map|globe|bank$"
    r"|hospital|post office|japan|1st|2nd|3rd|newspaper|e-mail|memo|backhand|clock|dvd|coin|money")
BAD_KEYWORD = re.compile(
    r"[^a-z0-9' -]|^\d+$|emoji|sexy|phallic|butt|kinky|drunk|dead|porn|stoned|weed|suicide|terror|isis|hitler")
# CLDR label -> drawing name, where the older Noto set uses an old name
OLD_NOTO_NAMES = {
    "smiling face with open hands": "hugging-face", "face with crossed-out eyes": "dizzy-face",
    "enraged face": "pouting-face", "bullseye": "direct-hit", "red question mark": "question-mark",
    "red exclamation mark": "exclamation-mark"}


def read_phrases(path=os.path.join(os.path.dirname(__file__), "phrases.txt")):
    """The hand-written names: CLDR label to phrases."""
    label = re.compile(r"((?:person|man|woman): (?:blond hair|beard|bald|[a-z]+ hair)|[^:]+): (.*)")
    phrases = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                name, rest = label.match(line.strip()).groups()
                phrases[name.strip()] = [p.strip() for p in rest.split(";") if p.strip()]
    return phrases


def is_wanted(entry):
    """Excludes flags, writing tools, most symbols, clocks, families, and gendered duplicates of one person."""
    group, subgroup, label = entry.get("group"), entry.get("subgroup"), entry["label"].lower()
    if group is None or group in (2, 9) or label in LEFT_OUT:
        return False
    if group == 8:
        return not GEOMETRIC_LEFT_OUT.search(label) if subgroup == 96 else label in SYMBOLS
    if subgroup == 58 and ("o’clock" in label or "thirty" in label):
        return label in CLOCKS
    if group == 1:
        if "facing right" in label or (subgroup == 30 and ":" in label):
            return False
        if subgroup == 31 and label.startswith("family:"):
            return False
        if subgroup == 24 and not label.startswith(("person", "deaf person")):
            return False
        if subgroup == 27 and re.match(r"(man|woman|men|women) ", label):
            return "dancing" in label or "running" in label
    return True


def kind_of(group, subgroup):
    if group == 0 and subgroup in (14, 15):
        return "symbol"
    for kind, subgroups in KIND_OF_SUBGROUPS.items():
        if subgroup in subgroups:
            return kind
    return KIND_OF_GROUP[group]


def keywords(entry, more):
    out = []
    for tag in [*entry.get("tags", []), *(t.replace("_", " ") for t in more)]:
        tag = tag.lower().strip().replace("’", "'")
        if 3 <= len(tag) <= 22 and not BAD_KEYWORD.search(tag) and tag not in out and tag != entry["label"].lower():
            out.append(tag)
    return out[:14]


def select_emoji(modules):
    """The emoji, and a map from code points (skin tones included) to the index in the list."""
    phrases = read_phrases()
    library = read_json(modules, "emojilib", "dist", "emoji-en-US.json")
    library = {code_points("-".join(f"{ord(c):x}" for c in k)): v for k, v in library.items()}
    emoji, by_code = [], {}
    for entry in read_json(modules, "emojibase-data", "en", "data.json"):
        if not is_wanted(entry):
            continue
        group, subgroup, label = entry["group"], entry.get("subgroup"), entry["label"].lower()
        code = code_points(entry["hexcode"])
        gendered = group == 1 and label.startswith(("man ", "woman "))
        record = dict(
            code=code, label=label, name=re.sub("[:“”]", "", label.replace("’", "'")), kind=kind_of(group, subgroup),
            phrases=phrases.pop(entry["label"], []), keywords=keywords(entry, library.get(code, [])),
            mirrored=not NOT_MIRRORED.search(label) and not (group == 8 and subgroup != 96),
            weight=0.4 if gendered else WEIGHT_OF_GROUP[group])
        by_code[code] = len(emoji)
        emoji.append(record)
        for skin in entry.get("skins", []) if label in WITH_SKIN_TONES else []:
            code = code_points(skin["hexcode"])
            tones = [p for p in code.split("-") if p.startswith("1f3f") and len(p) == 5]
            if len(tones) == 1 and tones[0] in SKIN_TONES:
                by_code[code] = len(emoji)
                emoji.append(dict(record, code=code, tone=SKIN_TONES[tones[0]], phrases=record["phrases"][:3],
                                  weight=record["weight"] * 0.6))
    if phrases:
        raise ValueError(f"Phrases must belong to a selected emoji: current labels are {sorted(phrases)}")
    return emoji, by_code


def drawing_name(name):
    """An emoji's name as the drawing sets spell it."""
    plain = name.lower().translate(str.maketrans({"’": "", "'": "", "ñ": "n", "å": "a", "&": "and"}))
    return re.sub("-+", "-", re.sub("[^a-z0-9]+", "-", plain)).strip("-")


def select_drawings(modules, emoji, by_code):
    """All drawings of the emoji: (emoji, style, drawing name or file)."""
    by_style = [drawings(modules, style) for style in STYLES]
    of = {style.id: codes for style, (codes, _) in zip(STYLES, by_style)}
    wanted = []
    for index, style in enumerate(STYLES):
        codes, names = by_style[index]
        for code, which in by_code.items():
            one = emoji[which]
            if one.get("tone") and style.id not in STYLES_WITH_SKIN_TONES:
                continue
            candidates = [codes.get(code)]
            if style.id == "fluent":
                candidates.append(of["flat"].get(code))
            if style.id == "notov1":
                candidates += [OLD_NOTO_NAMES.get(one["label"]), of["noto"].get(code), drawing_name(one["name"])]
            found = next((c for c in candidates if c in names), None)
            if found:
                wanted.append((which, index, found))
    return wanted
