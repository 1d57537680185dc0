// This module is browser compatible.

import type { DType } from "../../artifacts/dtype.ts";
import { TensorProto_DataType as DataType } from "./onnx_pb.ts";

/** ONNX data type of each element type. */
export const DATA_TYPES: Readonly<Record<DType, DataType>> = {
  float64: DataType.DOUBLE,
  float32: DataType.FLOAT,
  float16: DataType.FLOAT16,
  bfloat16: DataType.BFLOAT16,
  float8e4m3fn: DataType.FLOAT8E4M3FN,
  float8e5m2: DataType.FLOAT8E5M2,
  int64: DataType.INT64,
  uint64: DataType.UINT64,
  int32: DataType.INT32,
  uint32: DataType.UINT32,
  int16: DataType.INT16,
  uint16: DataType.UINT16,
  int8: DataType.INT8,
  uint8: DataType.UINT8,
  bool: DataType.BOOL,
};
