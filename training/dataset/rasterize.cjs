// Draws SVG icons as 256 x 256 PNG files with transparency.
// usage: node rasterize.cjs NODE_MODULES JOBS.json OUT_DIR
// JOBS.json: [[package, icon name, file name], ...]. The drawing runs in a child process, as resvg ends its process on
// a few broken drawings: those are left out.
const fs = require("node:fs");
const path = require("node:path");
const { spawnSync } = require("node:child_process");

const [modules, jobsFile, out] = process.argv.slice(2, 5).map((p) => path.resolve(p));
const first = process.argv[5];
const jobs = JSON.parse(fs.readFileSync(jobsFile, "utf8"));
const progress = path.join(out, "progress");

function drawAll() {
  fs.mkdirSync(out, { recursive: true });
  const broken = [];
  let from = 0;
  for (;;) {
    const args = [__filename, modules, jobsFile, out, String(from)];
    if (spawnSync(process.execPath, args, { stdio: ["ignore", "inherit", "ignore"] }).status === 0) break;
    const at = Number(fs.readFileSync(progress, "utf8"));
    broken.push(`${jobs[at][0]}:${jobs[at][1]}`);
    from = at + 1;
  }
  console.log(`${jobs.length - broken.length} drawings, ${broken.length} broken: ${broken.join(" ")}`);
}

function drawFrom(start) {
  const { Resvg } = require(path.join(modules, "@resvg/resvg-js"));
  const sets = new Map();
  for (let i = start; i < jobs.length; i++) {
    const [name, icon, file] = jobs[i];
    const target = path.join(out, file);
    if (fs.existsSync(target)) continue;
    fs.writeFileSync(progress, String(i));
    if (!sets.has(name)) sets.set(name, JSON.parse(fs.readFileSync(path.join(modules, name, "icons.json"), "utf8")));
    const set = sets.get(name);
    const { body, ...own } = set.icons[icon] ?? set.icons[set.aliases[icon].parent];
    const { width = 16, height = 16, left = 0, top = 0 } = { width: set.width, height: set.height, ...own };
    const side = Math.max(width, height);
    const box = `${left - (side - width) / 2} ${top - (side - height) / 2} ${side} ${side}`;
    const namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"';
    const svg = `<svg ${namespaces} width="256" height="256" viewBox="${box}">${body}</svg>`;
    const options = { fitTo: { mode: "width", value: 256 }, font: { loadSystemFonts: false }, logLevel: "off" };
    fs.writeFileSync(target, new Resvg(svg, options).render().asPng());
  }
}

if (first === undefined) drawAll();
else drawFrom(Number(first));
