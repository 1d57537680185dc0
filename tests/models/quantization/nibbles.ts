import { quantizeRows } from "../../../models/quantization/quantize_rows.ts";
import { type BlockRecipe, RECIPES } from "../../../models/quantization/recipe.ts";

/** Quantizes rows to 4 bits and returns the values that the result represents. */
export function roundedToNibbles(values: Float32Array, columns: number): Float64Array {
  const recipe = RECIPES.int4 as BlockRecipe;
  const { packed, scales } = quantizeRows(values, columns, recipe);
  const blocks = Math.ceil(columns / recipe.block);
  return Float64Array.from(values, (_, index) => {
    const column = index % columns;
    const place = Math.floor(index / columns) * blocks + Math.floor(column / recipe.block);
    const at = place * recipe.block + column % recipe.block;
    return (((packed[at >> 1]! >> (4 * (at & 1))) & 15) - 8) * scales[place]!;
  });
}
