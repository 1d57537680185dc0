import assert from "node:assert/strict";
import {
  createScheduler,
  listSchedulers,
  schedulerConfig,
  SchedulerOptionError,
  UnknownSchedulerError,
} from "../../schedulers/mod.ts";

const CHECKPOINT = {
  _class_name: "DPMSolverMultistepScheduler",
  _diffusers_version: "0.22.0",
  algorithm_type: "dpmsolver++",
  beta_end: 0.02,
  beta_schedule: "linear",
  beta_start: 0.0001,
  lambda_min_clipped: -Infinity,
  num_train_timesteps: 1000,
  solver_order: 2,
  solver_type: "midpoint",
  trained_betas: null,
  variance_type: null,
};

Deno.test("listSchedulers() lists every scheduler with names that find it and with its default options", () => {
  assert.equal(listSchedulers().length, 17);
  for (const { name, shortNames, description, options } of listSchedulers()) {
    assert.ok(description.length > 20);
    assert.equal(options.num_train_timesteps, 1000);
    for (const given of [name, ...shortNames]) {
      assert.equal(
        createScheduler(given, {}, { steps: 4 }).name,
        name,
      );
    }
  }
  const names = listSchedulers().flatMap(({ name, shortNames }) => [name, ...shortNames]);
  assert.equal(new Set(names).size, names.length);
});

Deno.test("createScheduler() accepts the scheduler names of other programs", () => {
  const names = {
    "euler": "EulerDiscreteScheduler",
    "Euler a": "EulerAncestralDiscreteScheduler",
    "euler_a": "EulerAncestralDiscreteScheduler",
    "EulerDiscrete": "EulerDiscreteScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "dpm++-karras": "DPMSolverMultistepScheduler",
    "dpm++2m": "DPMSolverMultistepScheduler",
    "DPM++ 2M SDE": "DPMSolverMultistepScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "uni_pc": "UniPCMultistepScheduler",
    "DDIM": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "PLMS": "PNDMScheduler",
    "dpm_single": "DPMSolverSinglestepScheduler",
    "flow_match_euler": "FlowMatchEulerDiscreteScheduler",
  };
  for (const [given, name] of Object.entries(names)) {
    assert.equal(createScheduler(given, {}, { steps: 4 }).name, name, given);
  }
});

Deno.test("a name implies options: DPM++ 2M Karras", () => {
  const config = schedulerConfig("DPM++ 2M Karras", CHECKPOINT);
  assert.equal(config.use_karras_sigmas, true);
  assert.deepEqual(
    createScheduler("dpmpp_2m_karras", CHECKPOINT, { steps: 6 }).timesteps,
    createScheduler("DPMSolverMultistepScheduler", { use_karras_sigmas: true }, { steps: 6 }).timesteps,
  );
  assert.throws(() => createScheduler("ddim_karras", {}, { steps: 4 }), UnknownSchedulerError);
  assert.throws(
    () => schedulerConfig("dpm++2m", CHECKPOINT, { solver_order: 3 }),
    /the name "dpm\+\+2m" sets solver_order to 2: current value is 3/,
  );
});

Deno.test("the error for an unknown name suggests the nearest one", () => {
  assert.throws(() => createScheduler("eulr", {}, { steps: 4 }), (error) => {
    assert.ok(error instanceof UnknownSchedulerError);
    assert.equal(error.nearest, "euler");
    assert.equal(error.given, "eulr");
    return true;
  });
  assert.throws(
    () => schedulerConfig("EulerDiscretScheduler", {}),
    /did you mean "EulerDiscreteScheduler"\?$/,
  );
});

Deno.test("schedulerConfig() drops unknown options and fills in missing ones", () => {
  const config = schedulerConfig("euler", CHECKPOINT, { timestep_spacing: "trailing" });
  assert.equal(config._class_name, "EulerDiscreteScheduler");
  assert.equal("solver_order" in config, false);
  assert.equal("_diffusers_version" in config, false);
  assert.equal(config.beta_end, 0.02);
  assert.equal(config.interpolation_type, "linear");
  assert.equal(config.timestep_spacing, "trailing");
});

Deno.test("schedulerConfig() replaces another scheduler's solver by its own default", () => {
  assert.equal(schedulerConfig("unipc", CHECKPOINT).solver_type, "bh2");
  const deis = schedulerConfig("deis", CHECKPOINT);
  assert.equal(deis.algorithm_type, "deis");
  assert.equal(deis.solver_type, "logrho");
  const back = schedulerConfig("DPMSolverMultistepScheduler", deis);
  assert.equal(back.algorithm_type, "dpmsolver++");
  assert.equal(back.solver_type, "midpoint");
});

Deno.test("schedulerConfig() survives JSON, which has no infinity", () => {
  const config = schedulerConfig("DPMSolverMultistepScheduler", { lambda_min_clipped: -Infinity });
  assert.equal(config.lambda_min_clipped, "-Infinity");
  assert.deepEqual(JSON.parse(JSON.stringify(config)), config);
  assert.deepEqual(schedulerConfig("DPMSolverMultistepScheduler", config), config);
});

Deno.test("the error for an unknown override suggests the nearest option", () => {
  assert.throws(() => schedulerConfig("euler", CHECKPOINT, { use_karras_sigma: true }), (error) => {
    assert.ok(error instanceof SchedulerOptionError);
    assert.equal(error.option, "use_karras_sigma");
    assert.match(error.message, /EulerDiscreteScheduler .* did you mean "use_karras_sigmas"\?$/);
    return true;
  });
});

Deno.test("the error for an invalid value names the valid ones", () => {
  const refused: readonly [string, Record<string, string | number | boolean>, RegExp][] = [
    [
      "euler",
      { timestep_spacing: "even" },
      /timestep_spacing must be one of linspace, leading, trailing: .*"even"$/,
    ],
    ["dpm++2s", { solver_order: 2, beta_start: "small" }, /beta_start must be of type number: .*"small"$/],
    [
      "DPMSolverMultistepScheduler",
      { solver_order: 4 },
      /solver_order must be at most 3: current value is 4$/,
    ],
    ["ddim", { num_train_timesteps: 1 }, /num_train_timesteps must be at least 2: current value is 1$/],
    ["ddim", { num_train_timesteps: 1.5 }, /num_train_timesteps must be of type int: current value is 1.5$/],
    [
      "heun",
      { use_karras_sigmas: true, use_beta_sigmas: true },
      /use_beta_sigmas must be off when use_karras_sigmas/,
    ],
    [
      "DPMSolverMultistepScheduler",
      { algorithm_type: "dpmsolver" },
      /final_sigmas_type must be sigma_min with algorithm_type dpmsolver: current value is "zero", by default$/,
    ],
    [
      "DPMSolverMultistepScheduler",
      { algorithm_type: "dpm" },
      /algorithm_type must be one of dpmsolver\+\+, dpmsolver, sde-dpmsolver, sde-dpmsolver\+\+: .* "dpm"$/,
    ],
    [
      "unipc",
      { shift_terminal: 0.1 },
      /shift_terminal must be null without use_flow_sigmas: current value is 0.1$/,
    ],
    [
      "DPMSolverMultistepScheduler",
      { lambda_min_clipped: "low" },
      /lambda_min_clipped must be a number or -Infinity/,
    ],
  ];
  for (const [name, overrides, message] of refused) {
    assert.throws(() => schedulerConfig(name, CHECKPOINT, overrides), (error) => {
      assert.ok(error instanceof SchedulerOptionError);
      assert.match(error.message, message);
      return true;
    });
  }
  assert.throws(() => createScheduler("euler", [1], { steps: 4 }), SchedulerOptionError);
});

Deno.test("timesteps follow num_train_timesteps, also if there are more or fewer betas", () => {
  // The timesteps of diffusers 0.42.1.
  for (const [count, timesteps] of [[110, [80, 64, 48, 32, 16]], [90, [99, 79, 59, 40, 20]]] as const) {
    const betas = Array.from({ length: count }, (_, index) => 1e-4 + index * 5e-4);
    const config = { num_train_timesteps: 100, trained_betas: betas, lambda_min_clipped: -1 };
    for (const name of ["dpm++2m", "dpm++2s", "sa_solver"]) {
      assert.deepEqual(createScheduler(name, config, { steps: 5 }).timesteps, timesteps, name);
    }
  }
});
