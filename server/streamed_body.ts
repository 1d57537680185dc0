/**
 * The option that Node requires for a request with a streamed body. Deno sends such bodies without it, and
 * its types lack it.
 */
export const STREAMED_BODY: object = { duplex: "half" };
