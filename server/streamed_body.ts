/**
 * What Node wants to be told of a request whose body is still to come. The types of Deno, which sends such bodies anyway,
 * do not know it.
 */
export const STREAMED_BODY: object = { duplex: "half" };
