/**
 * Which training drawings count as what a prompt asks for, written down from the prompts' words alone: of the 32 prompts of
 * the samples, the 30 that name one emoji.
 *
 * Names are those of Unicode, after the drawing's style. "a dog and a ball" and "two apples" have no place here, as no
 * training drawing shows two things.
 *
 * @module
 */

/** What a prompt's picture may be a drawing of. */
export interface NamedDrawing {
  readonly name: RegExp;
  /** Whether it is asked for in a colour that no drawing of it has, so that its shape alone can be compared. */
  readonly recoloured?: true;
}

/** The drawings that each prompt names. */
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
