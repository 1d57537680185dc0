/**
 * The training drawings that match each prompt, listed from only the words of the prompts. Of the 32 sample
 * prompts, it contains the 30 that name one emoji.
 *
 * Names are Unicode names, prefixed with the drawing's style. "a dog and a ball" and "two apples" are missing
 * because no training drawing shows two objects.
 *
 * @module
 */

/** The drawings that match a prompt. */
export interface NamedDrawing {
  readonly name: RegExp;
  /** Whether the prompt asks for a colour that no such drawing has, so only shapes can be compared. */
  readonly recoloured?: true;
}

/** The matching drawings by prompt. */
export const NAMED_DRAWINGS: Readonly<Record<string, NamedDrawing>> = {
  "cute cat": { name: /-cat(-|$)/ },
  "red car": { name: /-((oncoming-)?automobile|racing-car|sport-utility-vehicle)$/ },
  "a slice of pizza": { name: /-pizza$/ },
  "happy face": { name: /-((slightly-)?smiling|grinning|beaming)-face/ },
  "a crying face": { name: /-(loudly-)?crying-face$/ },
  "3d emoji of a cat with heart eyes": { name: /-smiling-cat-with-heart-eyes$/ },
  "flat emoji of a rocket": { name: /-rocket$/ },
  "a blue cat": { name: /-cat(-|$)/, recoloured: true },
  "a green apple": { name: /-green-apple$/ },
  "pink elephant": { name: /-elephant$/, recoloured: true },
  "a cup of coffee": { name: /-hot-beverage$/ },
  "a sunflower": { name: /-sunflower$/ },
  "cute robot": { name: /-robot$/ },
  "a friendly ghost": { name: /-ghost$/ },
  "a castle": { name: /-castle$/ },
  "birthday cake with candles": { name: /-birthday-cake$/ },
  "a penguin": { name: /-penguin$/ },
  "unicorn, 3d emoji": { name: /-unicorn$/ },
  "a house with a tree": { name: /-house-with-garden$/ },
  "red heart": { name: /-(red-heart|heart-suit)$/ },
  "a purple dinosaur": { name: /-(sauropod|t-rex)$/, recoloured: true },
  "angry face": { name: /-(angry|pouting|enraged)-face$/ },
  "sushi": { name: /-sushi$/ },
  "a guitar": { name: /-guitar$/ },
  "airplane": { name: /-airplane(-departure|-arrival)?$/ },
  "octopus, flat icon": { name: /-octopus$/ },
  "an avocado": { name: /-avocado$/ },
  "an astronaut": { name: /-astronaut/ },
  "a tree on a blue background": { name: /-(evergreen|deciduous|palm|leafless|christmas)-tree$/ },
  "a wizard": { name: /-mage/ },
};
