/**
 * A process that opens a model while the kernel refuses symbolic and hard links, as on a file system without
 * them.
 *
 * @module
 */

/** Numbers of the system calls used here. */
const NUMBERS = {
  x86_64: { seccomp: 317n, refused: [86, 88, 265, 266] },
  aarch64: { seccomp: 277n, refused: [36, 37] },
};

const NO_NEW_PRIVILEGES = 38;
const SET_FILTER = 1n;
const ALL_THREADS = 1n;
const ALLOW = 0x7fff_0000;
const FAIL_WITH_EPERM = 0x0005_0001;

const { seccomp, refused } = NUMBERS[Deno.build.arch];
const libc = Deno.dlopen("libc.so.6", {
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  syscall: { parameters: ["i64", "u64", "u64", "buffer"], result: "i64" },
});

// A Berkeley packet filter program: load the number of the call, jump to the end if it is refused, else allow
// it.
const program = [
  { code: 0x20, jump: 0, value: 0 },
  ...refused.map((value, i) => ({ code: 0x15, jump: refused.length - i, value })),
  { code: 0x06, jump: 0, value: ALLOW },
  { code: 0x06, jump: 0, value: FAIL_WITH_EPERM },
];
const filter = new DataView(new ArrayBuffer(program.length * 8));
program.forEach(({ code, jump, value }, i) => {
  filter.setUint16(i * 8, code, true);
  filter.setUint8(i * 8 + 2, jump);
  filter.setUint32(i * 8 + 4, value, true);
});
const argument = new DataView(new ArrayBuffer(16));
argument.setUint16(0, program.length, true);
argument.setBigUint64(
  8,
  Deno.UnsafePointer.value(Deno.UnsafePointer.of(new Uint8Array(filter.buffer))),
  true,
);
if (
  libc.symbols.prctl(NO_NEW_PRIVILEGES, 1n, 0n, 0n, 0n) !== 0 ||
  libc.symbols.syscall(seccomp, SET_FILTER, ALL_THREADS, argument) !== 0n
) throw new Error("Cannot refuse links to this process");

await import("./open_model.ts");
