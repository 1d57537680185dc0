// This module is browser compatible.

/**
 * Reads SentencePiece's model file, `spiece.model`.
 *
 * @module
 */

import { fromBinary } from "@bufbuild/protobuf";
import { FormatError } from "../errors/pixstage_error.ts";
import {
  type ModelProto,
  ModelProto_SentencePiece_Type as PieceType,
  ModelProtoSchema,
  TrainerSpec_ModelType as ModelType,
} from "./sentencepiece_model_pb.ts";
import type { UnigramVocabulary } from "./unigram_vocabulary.ts";

/** A SentencePiece Unigram model. */
export interface SentencePieceModel extends UnigramVocabulary {
  /** Pieces that are recognized literally: control pieces (`</s>`) and user-defined ones. */
  readonly addedPieces: readonly string[];
}

function parse(bytes: Uint8Array, name: string): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FormatError(`Cannot parse ${name} as a SentencePiece model: ${reason}`, { cause });
  }
}

/**
 * Reads a SentencePiece Unigram model.
 *
 * @param bytes The file's content.
 * @param name The file's name, for error messages.
 * @returns The pieces, their scores, and the map that normalizes text.
 * @throws {FormatError} if the bytes are not a SentencePiece model, or one of another type, or one without
 * pieces.
 */
export function readSentencePieceModel(bytes: Uint8Array, name = "spiece.model"): SentencePieceModel {
  const { pieces, trainerSpec, normalizerSpec } = parse(bytes, name);
  const kind = trainerSpec?.modelType ?? ModelType.UNIGRAM;
  if (kind !== ModelType.UNIGRAM) {
    throw new FormatError(
      `Cannot read ${name}: it must contain a UNIGRAM model, but contains ${ModelType[kind] ?? kind}`,
    );
  }
  if (pieces.length === 0) {
    throw new FormatError(
      `Cannot read ${name}: the SentencePiece model has no pieces`,
    );
  }
  const charsmap = normalizerSpec?.precompiledCharsmap;
  return {
    pieces: pieces.map(({ piece }) => piece),
    scores: new Float64Array(pieces.map(({ score }) => score)),
    addedPieces: pieces.filter(({ type }) => type === PieceType.CONTROL || type === PieceType.USER_DEFINED)
      .map(({ piece }) => piece),
    ...(charsmap !== undefined && charsmap.length > 0 ? { charsmap } : {}),
  };
}
