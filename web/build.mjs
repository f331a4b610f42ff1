/** Builds the page into vqcodec/view/page: the kernel with zig's C compiler, the scripts with
 * esbuild. The Python that PYTHON names, python3 by default, has the package ziglang.
 */

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const page = join(here, '../vqcodec/view/page');
const kernel = join(here, '../vqcodec/_kernel');

const OWN = ['exact.c', 'layers.c', 'real.c', 'integer.c', 'simd128.c'];
const SHARED = ['network.c', 'literal.c'];
const FLAGS = [
  ...['-target', 'wasm32-wasi', '-mexec-model=reactor', '-mcpu=generic+simd128', '-std=c11'],
  // As setup.py has it: products and sums are not to be joined, or indices differ.
  ...['-O3', '-g0', '-ffp-contract=off', '-fno-math-errno', '-Wall', '-Wextra', '-Werror'],
  ...['-Wl,--no-entry', '-Wl,--strip-all', `-I${kernel}`],
];

rmSync(page, { recursive: true, force: true });
mkdirSync(page, { recursive: true });
execFileSync(
  process.env.PYTHON ?? 'python3',
  [
    ...['-m', 'ziglang', 'cc', ...FLAGS, '-o', join(page, 'vqcodec.wasm')],
    ...OWN.map((name) => join(here, 'kernel', name)),
    ...SHARED.map((name) => join(kernel, name)),
  ],
  { stdio: 'inherit' },
);
await build({
  entryPoints: ['page.ts', 'worker.ts'].map((name) => join(here, 'source', name)),
  outdir: page,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  legalComments: 'none',
});
for (const name of ['index.html', 'page.css', 'icon.svg'])
  copyFileSync(join(here, 'source', name), join(page, name));
