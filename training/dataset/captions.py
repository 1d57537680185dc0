"""Captions for emoji pictures in lower case, composed at random from names, phrases, keywords, colours and style words."""
import re

COLOUR_OF_WORD = {
    "red": "red", "orange": "orange", "yellow": "yellow", "gold": "yellow", "golden": "yellow", "green": "green",
    "blue": "blue", "cyan": "blue", "teal": "blue", "purple": "purple", "violet": "purple", "pink": "pink",
    "brown": "brown", "black": "black", "white": "white", "gray": "gray", "grey": "gray", "silver": "gray",
    "colorful": "", "dark": "black"}
# other names under which a caption may describe a colour
NEAR = {
    "red": {"red", "pink", "orange", "brown"}, "orange": {"orange", "brown", "yellow", "red"},
    "yellow": {"yellow", "orange"}, "green": {"green"}, "blue": {"blue", "purple"},
    "purple": {"purple", "pink", "blue"}, "pink": {"pink", "red", "purple"}, "brown": {"brown", "orange", "red"},
    "black": {"black", "gray"}, "white": {"white", "gray"}, "gray": {"gray", "white", "black", "blue"}}
COLOUR_WORDS = re.compile(r"\b(?:(?:%s)(?:,| and)? ?)+(?=\S)" % "|".join(COLOUR_OF_WORD))
ADJECTIVES = {
    "animal": ["cute", "cute", "cute", "little", "adorable", "lovely", "funny", "small", "sweet", "big", "friendly"],
    "face": ["cute", "funny", "cute", "silly", "nice", "round"],
    "person": ["cute", "nice", "friendly", "young", "cool"], "body": ["nice", "simple"],
    "food": ["tasty", "delicious", "yummy", "fresh", "cute", "nice", "sweet"],
    "plant": ["beautiful", "pretty", "lovely", "nice", "cute", "fresh"],
    "place": ["beautiful", "nice", "big", "lovely", "small", "cute"],
    "vehicle": ["fast", "nice", "new", "cool", "cute", "small", "big", "shiny", "toy"],
    "object": ["nice", "beautiful", "simple", "small", "new", "cool", "cute", "shiny", "big"],
    "symbol": ["simple", "nice", "cute", "bold"]}
BEFORE = ["an emoji of", "a picture of", "an icon of", "a drawing of", "an illustration of", "a cartoon of",
          "an image of", "emoji of", "picture of", "icon of", "drawing of", "clipart of", "a sticker of",
          "illustration of"]
AFTER = ["emoji", "icon", "emoji", "picture", "cartoon", "drawing", "sticker", "clipart", "illustration"]
ON_WHITE = ["on a white background", "on white background", "white background", "isolated on white", "on white"]
BETWEEN = ["and", "and", "and", "and", "next to", "with", "beside"]
PLURALS = {
    "glasses", "scissors", "jeans", "shorts", "briefs", "fries", "french fries", "grapes", "cherries", "peanuts",
    "beans", "blueberries", "pancakes", "noodles", "chopsticks", "eyes", "lungs", "books", "houses", "fireworks",
    "maracas", "socks", "gloves", "skis", "sunglasses", "goggles", "bubbles", "chains", "footprints", "paw prints",
    "clothes", "shoes", "bags", "musical notes", "sparkles", "tickets", "headphones", "playing cards",
    "boxing gloves", "swords", "hearts", "dolls", "performing arts", "control knobs", "film frames", "prayer beads",
    "roller skates", "balls", "mugs", "droplets", "hands"}
UNCOUNTED = {
    "bread", "popcorn", "bacon", "butter", "salt", "spaghetti", "sushi", "sake", "ice", "fire", "fog", "money",
    "broccoli", "garlic", "soap", "yarn", "thread", "wood", "coral", "dna", "basketball", "tennis", "bowling",
    "badminton", "lacrosse", "ping pong", "ice hockey", "field hockey", "baseball game", "camping", "cooking", "oden",
    "mate", "curry rice", "cooked rice", "bubble tea", "zzz", "sunrise", "sunset", "collision", "construction",
    "infinity", "yin yang", "christmas", "mount fuji", "hot springs", "hundred points", "archery", "selfie",
    "nail polish", "meat", "cheese", "curling"}
SINGULAR_S = {
    "bus", "octopus", "cactus", "walrus", "compass", "dress", "glass", "cross", "moss", "bass", "hippopotamus",
    "platypus", "abacus", "lotus", "hibiscus", "citrus", "trousers", "virus", "princess", "circus", "claus", "tennis",
    "swiss", "christmas", "mattress", "boss"}
IRREGULAR = [
    ("mouse", "mice"), ("goose", "geese"), ("man", "men"), ("child", "children"), ("foot", "feet"),
    ("tooth", "teeth"), ("wolf", "wolves"), ("knife", "knives"), ("leaf", "leaves"), ("sheep", "sheep"),
    ("fish", "fish"), ("deer", "deer")]
NUMBER = re.compile(r"^(?:two|three|one|four|\d)")


def with_article(phrase):
    """The noun phrase with "a", "an" or nothing in front."""
    head = re.split(r" (?:with|of|in|on|and|without|from|for) ", phrase, maxsplit=1)[0]
    last = head.split()[-1] if head else ""
    if phrase in UNCOUNTED or last in UNCOUNTED or NUMBER.match(phrase):
        return phrase
    if phrase.startswith(("a ", "an ", "the ", "my ", "i ")) or head in PLURALS or last in PLURALS:
        return phrase
    if last.endswith("s") and last not in SINGULAR_S:
        return phrase
    vowel = phrase[0] in "aeiou" and not phrase.startswith(("uni", "one", "ufo", "eu", "used", "us "))
    return ("an " if vowel or phrase.startswith("hour") else "a ") + phrase


def plural(noun):
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    for ending, ending_of_many in IRREGULAR:
        if noun.endswith(ending):
            return noun[: -len(ending)] + ending_of_many
    return noun + "s"


def one_of(values, rng):
    return values[int(rng.random() * len(values))]


def some_of(values, count, rng):
    values = list(values)
    rng.shuffle(values)
    return values[:count]


class Captioner:
    """Captions for the emoji and styles of a data set. Every method draws from the random generator that the caller passes."""

    def __init__(self, emoji, styles, main_style, style_named):
        """style_named: the share of captions outside the main style that always name their style."""
        self.emoji, self.styles = emoji, styles
        self.main_style, self.style_named = main_style, style_named
        self.names = [self.names_of(e) for e in emoji]
        self.countable = [
            [p for p, bare, _ in names if not bare and len(p.split()) <= 2 and with_article(p) != p
             and e["kind"] not in ("symbol", "place")]
            for e, names in zip(emoji, self.names)]

    @staticmethod
    def names_of(emoji):
        """[(name, whether it takes no article, the colour it names or "")]"""
        names = []
        tone = emoji.get("tone")
        for phrase in [emoji["name"]] * 2 + emoji["phrases"]:
            bare, phrase = phrase.startswith("~"), phrase.lstrip("~")
            if tone:
                names.append((f"{phrase} with {tone}", bare, ""))
                names.append((f"{tone} {phrase}", bare, ""))
                continue
            words = re.findall("[a-z]+", re.split(" (?:with|on|and) ", phrase)[0])
            colours = [COLOUR_OF_WORD[w] for w in words if COLOUR_OF_WORD.get(w)]
            names.append((phrase, bare, colours[0] if colours else ""))
        return names

    def noun(self, which, rng, colour="", new_colour="", article=None):
        """A noun phrase. colour: what the picture shows; new_colour: what it was recoloured to."""
        emoji = self.emoji[which]
        for _ in range(4):
            phrase, bare, named = one_of(self.names[which], rng)
            contradicts = named and colour and not new_colour and named not in NEAR[colour]
            if not contradicts or phrase == emoji["name"]:
                break
        if new_colour:
            head, *rest = re.split(" (?=with )", phrase, maxsplit=1)
            phrase = COLOUR_WORDS.sub("", head).strip() or head
            if rest and not COLOUR_WORDS.search(rest[0]):
                phrase += " " + rest[0]
            phrase = f"{new_colour} {phrase}"
        elif colour and not named and "," not in phrase and rng.random() < 0.25:
            phrase = f"{colour} {phrase}"
        if rng.random() < 0.2 and not NUMBER.match(phrase):
            adjective = one_of(ADJECTIVES[emoji["kind"]], rng)
            if adjective not in phrase:
                phrase = f"{adjective} {phrase}"
        if article is None:
            article = rng.random() < 0.55
        return with_article(phrase) if article and not bare else phrase

    def caption(self, which, style, rng, colour="", new_colour="", background=""):
        """A caption of a picture of one emoji."""
        def noun(article=None):
            return self.noun(which, rng, colour, new_colour, article)

        draw = rng.random()
        if style != self.main_style and rng.random() < self.style_named:
            draw = 0.45 + 0.29 * draw   # one of the forms with style words
        elif new_colour or background:
            draw *= 0.9   # keywords alone would not name the colour
        style_words = one_of(self.styles[style]["words"], rng)
        tags = self.emoji[which]["keywords"]
        if draw < 0.45:
            text = noun()
        elif draw < 0.58:
            text = f"{style_words} of {noun()}"
            if rng.random() < 0.3:
                text = with_article(text)
        elif draw < 0.68:
            text = f"{noun()}, {style_words}"
        elif draw < 0.74:
            text = f"{noun(False)} {style_words}"
        elif draw < 0.83:
            text = f"{one_of(BEFORE, rng)} {noun()}"
        elif draw < 0.9 or not tags:
            text = f"{noun(False)} {one_of(AFTER, rng)}"
        elif draw < 0.96:
            text = ", ".join([noun(), *some_of(tags, 1 + int(rng.random() * 3), rng)])
        else:
            text = ", ".join(some_of(tags, 2 + int(rng.random() * 3), rng))
        if background:
            text += f" on {with_article(background)} background" if rng.random() < 0.6 else f", {background} background"
        elif rng.random() < 0.04:
            text += (", " if rng.random() < 0.3 else " ") + one_of(ON_WHITE, rng)
        return text.lower()

    def pair(self, left, right, style, rng, left_colour="", right_colour=""):
        """A caption of a picture of two emoji side by side."""
        if left == right and self.countable[left]:
            text = f"two {plural(one_of(self.countable[left], rng))}"
            if rng.random() < 0.2:
                text += " next to each other"
        else:
            article = rng.random() < 0.6
            first = self.noun(left, rng, left_colour, article=article)
            second = self.noun(right, rng, right_colour, article=article)
            text = f"{first} {one_of(BETWEEN, rng)} {second}"
        if rng.random() < (0.15 if style == self.main_style else self.style_named):
            text += f", {one_of(self.styles[style]['words'], rng)}"
        return text.lower()
