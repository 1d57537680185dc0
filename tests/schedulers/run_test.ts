import assert from "node:assert/strict";
import { fc } from "../random.ts";
import { PixstageError } from "../../errors/pixstage_error.ts";
import { createScheduler, listSchedulers, type RunOptions } from "../../schedulers/mod.ts";

type Refusal = readonly [
  name: string,
  run: RunOptions,
  code: "invalid_schedule" | "out_of_range",
  message: RegExp,
];

Deno.test("createScheduler() refuses unsupported runs and explains why", () => {
  const refused: readonly Refusal[] = [
    ["euler", {}, "invalid_schedule", /without a number of steps: give steps$/],
    ["euler", { steps: 0 }, "out_of_range", /steps must be an integer of at least 1: current value is 0$/],
    [
      "euler",
      { steps: 2.5 },
      "out_of_range",
      /steps must be an integer of at least 1: current value is 2.5$/,
    ],
    ["euler", { steps: 1001 }, "out_of_range", /steps must be at most 1000: current value is 1001$/],
    [
      "euler",
      { timesteps: [900], sigmas: [1, 0] },
      "invalid_schedule",
      /with both timesteps and sigmas: give one of them$/,
    ],
    ["euler", { sigmas: [1] }, "out_of_range", /it needs at least 2 sigmas: current number is 1$/],
    ["euler", { timesteps: [] }, "out_of_range", /timesteps must not be empty$/],
    ["euler", { timesteps: [100, 400] }, "out_of_range", /timesteps must fall .* at 1 is 400 after 100$/],
    [
      "ddpm",
      { timesteps: [1000] },
      "out_of_range",
      /timesteps must be integers from 0 to 999: current value is 1000$/,
    ],
    [
      "dpm++2m",
      { timesteps: [900.5] },
      "out_of_range",
      /timesteps must be integers of at least 0: current value is 900.5$/,
    ],
    [
      "dpm++2m",
      { timesteps: [1200, 1100, 500] },
      "invalid_schedule",
      /because step 2 of 3 would produce values that are not finite, whatever the model predicts: it starts at timestep 1100\. Choose/,
    ],
    [
      "dpm++2m",
      { steps: 1000 },
      "invalid_schedule",
      /because step 501 of 1000 would produce values that are not finite, .* at timestep 500\. Choose other options or other steps$/,
    ],
    [
      "dpm++2m_karras",
      { timesteps: [900] },
      "invalid_schedule",
      /by timesteps because use_karras_sigmas must be off: it is on$/,
    ],
    ["dpm++2m", { sigmas: [1, 0.5] }, "invalid_schedule", /accepts no sigmas: give steps$/],
    ["unipc", { timesteps: [900, 500] }, "invalid_schedule", /accepts no timesteps: give steps$/],
    ["unipc", { sigmas: [0.9, 0.5] }, "invalid_schedule", /accepts them only with use_flow_sigmas/],
    ["euler", { steps: 4, eta: 0.5 }, "invalid_schedule", /accepts no eta: current value is 0.5$/],
    ["ddim", { steps: 4, eta: 2 }, "out_of_range", /eta must be from 0 to 1: current value is 2$/],
    [
      "euler",
      { steps: 4, mu: 0.5 },
      "invalid_schedule",
      /accepts mu only with use_dynamic_shifting: current value is 0.5$/,
    ],
    ["lcm", { steps: 51 }, "out_of_range", /steps must be at most 50: current value is 51$/],
    ["lcm", { timesteps: [100, 400] }, "out_of_range", /timesteps must fall/],
    [
      "pndm",
      { steps: 3 },
      "out_of_range",
      /steps must be at least 4 without skip_prk_steps: current value is 3$/,
    ],
    ["flow_euler", { sigmas: [1.5, 1] }, "out_of_range", /sigmas must be at most 1: current value is 1.5$/],
  ];
  for (const [name, run, code, message] of refused) {
    assert.throws(() => createScheduler(name, {}, run), (thrown) => {
      assert.ok(
        thrown instanceof PixstageError && thrown.code === code,
        `${name} ${JSON.stringify(run)}: ${thrown}`,
      );
      assert.match(thrown.message, message);
      return true;
    });
  }
  const dynamic = { use_dynamic_shifting: true };
  assert.throws(() => createScheduler("flow_euler", dynamic, { steps: 4 }), /without mu: give mu$/);
  const terminal = { shift_terminal: 0.1 };
  assert.throws(() => createScheduler("flow_euler", terminal, { steps: 1 }), /give more steps$/);
});

Deno.test("createScheduler() always accepts an eta of 0, and timesteps override the number of steps", () => {
  assert.equal(createScheduler("euler", {}, { steps: 4, eta: 0 }).timesteps.length, 4);
  assert.deepEqual(createScheduler("euler", {}, { steps: 20, timesteps: [900, 100] }).timesteps, [900, 100]);
});

Deno.test("a final 0 in a flow's sigmas is a separate level, and UniPC omits it", () => {
  const flow = createScheduler("flow_euler", { use_karras_sigmas: true }, { sigmas: [0.9, 0.5, 0] });
  assert.deepEqual(flow.timesteps.map((timestep) => Number(timestep.toFixed(2))), [900, 7.03, 0]);
  const stretched = createScheduler("flow_euler", { shift_terminal: 0.1 }, { sigmas: [0.9, 0.5, 0] });
  assert.deepEqual(stretched.timesteps.map((timestep) => Number(timestep.toFixed(2))), [910, 550, 100]);
  const unipc = { use_flow_sigmas: true, prediction_type: "flow_prediction" };
  const { sigmas } = createScheduler("unipc", unipc, { sigmas: [0.5, 0.25, 0] });
  assert.deepEqual(sigmas, [0.5, 0.25, 0]);
});

Deno.test("createScheduler() refuses options that would produce levels that are not finite", () => {
  const shift = { use_dynamic_shifting: true, time_shift_type: "linear" };
  assert.throws(
    () => createScheduler("flow_euler", { ...shift, use_karras_sigmas: true }, { steps: 3, mu: -0.5 }),
    /use_karras_sigmas because they must be 0 or above: they go from 1 to -0\.0005.*another mu/,
  );
  assert.throws(
    () => createScheduler("flow_euler", { use_exponential_sigmas: true }, { sigmas: [0.9, 0.5, 0] }),
    /use_exponential_sigmas because they must be above 0: they go from 0\.89.* to 0\./,
  );
  assert.throws(
    () => createScheduler("flow_euler", shift, { steps: 3, mu: 0 }),
    /FlowMatchEulerDiscreteScheduler because every timestep and noise level must be finite: call 0 has timestep NaN and noise level NaN\./,
  );
  assert.throws(
    () => createScheduler("unipc", { predict_x0: false }, { steps: 4 }),
    /predict_x0 must be true with final_sigmas_type zero, or final_sigmas_type sigma_min: current value is false/,
  );
});

Deno.test("schedules fall, stay within training and end at zero noise or its first level for any number of steps", () => {
  const runs = fc.record({
    listing: fc.constantFrom(...listSchedulers()),
    // With as many steps as training, some schedulers visit a timestep twice and refuse the run.
    steps: fc.integer({ min: 1, max: 999 }),
    spacing: fc.constantFrom("linspace", "leading", "trailing"),
  });
  fc.assert(
    fc.property(runs, ({ listing: { name, options }, steps: asked, spacing }) => {
      const steps = Math.max(
        /^(LCM|TCD)/.test(name) ? Math.min(asked, 50) : asked,
        name === "PNDMScheduler" ? 4 : 1,
      );
      const { timesteps, sigmas } = createScheduler(
        name,
        "timestep_spacing" in options ? { timestep_spacing: spacing } : {},
        { steps },
      );
      // Runge-Kutta steps look ahead, and ancestral steps go below the level to which noise brings them back.
      const isOrdered = !/^(PNDM|KDPM2Ancestral)/.test(name);
      const last = name.startsWith("Flow") ? 1000 : 999;
      assert.ok(timesteps.every((timestep) => timestep >= 0 && timestep <= last));
      assert.ok(
        !isOrdered || timesteps.every((timestep, index) => index === 0 || timestep <= timesteps[index - 1]!),
      );
      assert.ok(timesteps.length >= steps);
      if (!sigmas) return;
      assert.equal(sigmas.length, timesteps.length + 1);
      assert.ok(sigmas.every((sigma, index) => index === 0 || sigma <= sigmas[index - 1]!));
      if (!/^(DEIS|SA)/.test(name)) assert.equal(sigmas.at(-1), 0);
    }),
    { numRuns: 400 },
  );
});

Deno.test("addNoise() refuses unknown timesteps and noise of another length", () => {
  const [clean, noise] = [new Float32Array(4), new Float32Array(4)];
  const euler = createScheduler("euler", {}, { timesteps: [900, 100] });
  assert.deepEqual(euler.addNoise(clean, noise, 900), clean);
  assert.throws(
    () => euler.addNoise(clean, noise, 500),
    /at timestep 500: give one of the schedule's, 900, 100$/,
  );
  assert.throws(() => euler.addNoise(clean, new Float32Array(3), 900), { code: "invalid_shape" });
  const ddim = createScheduler("ddim", {}, { steps: 4 });
  assert.throws(() => ddim.addNoise(clean, noise, 1000), { code: "out_of_range" });
});

Deno.test("LCM in one step returns the denoised sample after the boundary condition", () => {
  const scheduler = createScheduler("lcm", {}, { steps: 1 });
  const sample = new Float32Array([1, -2, 3]);
  const drawn: number[] = [];
  const result = scheduler.step(new Float32Array(3), 0, sample, (count) => {
    drawn.push(count);
    return new Float32Array(count);
  });
  assert.deepEqual(result.sample, result.predictedOriginal);
  assert.deepEqual(drawn, []);
});

Deno.test("options that only some runs support are refused only for the others", () => {
  const sde = { algorithm_type: "sde-dpmsolver", solver_order: 3, final_sigmas_type: "sigma_min" };
  const unipc = { lower_order_final: false };
  // A short run both begins and ends with lower orders.
  for (const steps of [1, 2, 3, 4]) createScheduler("DPMSolverMultistepScheduler", sde, { steps });
  createScheduler("unipc", unipc, { steps: 1 });
  const refused = [
    ["DPMSolverMultistepScheduler", sde, 5, /solver_order must be 1 or 2 with algorithm_type sde-dpmsolver/],
    ["unipc", unipc, 2, /lower_order_final must be true with final_sigmas_type zero and more than one step/],
  ] as const;
  for (const [name, config, steps, message] of refused) {
    assert.throws(() => createScheduler(name, config, { steps }), {
      code: "invalid_scheduler_option",
      message,
    });
  }
});

Deno.test("negative noise levels of a flow can be spaced by quantiles, but not by roots or logarithms", () => {
  const config = { use_dynamic_shifting: true, time_shift_type: "linear" };
  const create = (spacing: string) =>
    createScheduler("FlowMatchEulerDiscreteScheduler", { ...config, [spacing]: true }, {
      steps: 7,
      mu: -0.4,
    });
  assert.ok(create("use_beta_sigmas").sigmas!.some((sigma) => sigma < 0));
  for (const spacing of ["use_karras_sigmas", "use_exponential_sigmas"]) {
    assert.throws(() => create(spacing), { code: "invalid_schedule" });
  }
});
