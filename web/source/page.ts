/** The page: files come in, are shown, and go out. */

import { Abandoned, Client } from './client.ts';
import { Compression } from './compression.ts';
import { element, listen, save } from './document.ts';
import { describe } from './facts.ts';
import type { Facts } from './messages.ts';
import { Problem } from './problems.ts';
import { type Shown, draw, drawDetail } from './showing.ts';
import { type Source, Viewer } from './viewer.ts';

/** Files that are larger than the pixels of any that is shown are not read. */
const FILE_BYTES_MAX = 2 ** 30;
/** Milliseconds that the view has to rest. */
const REST = 250;
const VQC_START = [0x8b, 0x56, 0x51, 0x43];

const client = new Client((stage, progress) => working(stage, progress));
const viewer = new Viewer(element('canvas', HTMLCanvasElement), viewChanged);
const compression = new Compression(client, viewer, { attempt, showFacts });

/** The open .vqc file as it is shown; large ones in full where they are looked at closely. */
let shown: Shown | undefined;
let detail: Source['detail'];
let opening = 0;
let detailTimer = 0;

function working(stage: string, progress: number | null): void {
  const isDone = progress === null;
  element('work').hidden = isDone;
  element('doing').textContent = stage;
  if (!isDone) element('done', HTMLProgressElement).value = progress;
}

function complain(message: string): void {
  const line = element('problem');
  line.hidden = message === '';
  line.textContent = message;
}

/** Does something, and shows what goes wrong as one line. */
async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    await action();
    if (!client.isBusy) working('', null);
  } catch (error) {
    if (error instanceof Abandoned) return;
    if (!client.isBusy) working('', null);
    const { message } = error as Error;
    complain(message.slice(0, 1).toUpperCase() + message.slice(1) + '.');
  }
}

async function open(file: Blob, name: string): Promise<void> {
  const own = ++opening;
  if (client.isBusy) client.stop();
  complain('');
  end();
  element('name').textContent = name;
  await attempt(async () => {
    if (file.size > FILE_BYTES_MAX) throw new Problem('Limit', `${name} is larger than 1 GiB`);
    const start = new Uint8Array(await file.slice(0, VQC_START.length).arrayBuffer());
    if (VQC_START.every((byte, place) => start[place] === byte) || /\.vqc$/i.test(name))
      await openVqc(file, own);
    else await openPicture(file, name, own);
  });
}

async function openVqc(file: Blob, own: number): Promise<void> {
  const data = await file.arrayBuffer();
  if (own !== opening) return;
  working('Reading', 0);
  const facts = await client.ask('open', { data }, [data]);
  begin(facts.width, facts.height);
  showFacts(facts);
  element('wishes').hidden = element('sides').hidden = true;
  await draw(client, facts, (picture) => {
    if (own !== opening) return;
    shown = picture;
    viewer.show({ ...picture, detail }, null);
  });
}

async function openPicture(file: Blob, name: string, own: number): Promise<void> {
  working('Reading', 0);
  const image = await createImageBitmap(file).catch(() => {
    throw new Problem(
      'Picture',
      `${name} is neither a .vqc file nor a picture that this browser reads`,
    );
  });
  if (own !== opening) return;
  begin(image.width, image.height);
  await compression.begin(image, name.replace(/\.[^.]*$/, ''));
}

/** Shows no file. */
function end(): void {
  compression.end();
  shown = detail = undefined;
  element('digest').textContent = '';
  element('welcome').hidden = false;
  element('stage').hidden = element('panel').hidden = true;
  for (const id of ['save-png', 'verify']) element(id, HTMLButtonElement).disabled = true;
}

function begin(width: number, height: number): void {
  element('welcome').hidden = true;
  element('stage').hidden = element('panel').hidden = false;
  viewer.begin(width, height);
}

function showFacts(facts: Facts): void {
  element('facts').replaceChildren(
    ...describe(facts).flatMap(([term, description]) => {
      const [name, value] = [document.createElement('dt'), document.createElement('dd')];
      [name.textContent, value.textContent] = [term, description];
      return [name, value];
    }),
  );
  for (const id of ['save-png', 'verify']) element(id, HTMLButtonElement).disabled = false;
  element('canvas').setAttribute('aria-label', `${facts.width} by ${facts.height} pixels`);
}

/** Decodes what is looked at closely of a reduced picture, when the view rests. */
function viewChanged(): void {
  element('zoom').textContent = `${Math.round(viewer.zoom * 100)} %`;
  clearTimeout(detailTimer);
  if (!shown || viewer.zoom * shown.reduction <= 1) return;
  const own = opening;
  detailTimer = setTimeout(
    () =>
      attempt(async () => {
        const drawn = await drawDetail(client, viewer.area);
        if (!shown || !drawn || own !== opening) return;
        detail = drawn;
        viewer.show({ ...shown, detail }, null);
      }),
    REST,
  );
}

listen('file', 'change', ({ target }) => {
  const input = target as HTMLInputElement;
  const [file] = input.files ?? [];
  if (file) void open(file, file.name);
  input.value = '';
});
listen('in', 'click', () => viewer.larger());
listen('out', 'click', () => viewer.smaller());
listen('fit', 'click', () => viewer.fit());
listen('actual', 'click', () => viewer.actual());
listen('divider', 'input', ({ target }) => {
  viewer.divider = Number((target as HTMLInputElement).value);
});
listen('wishes', 'submit', (event) => event.preventDefault());
listen('verify', 'click', () =>
  attempt(async () => {
    working('Checking', 0);
    const digest = await client.ask('verify', {});
    element('digest').textContent = `Every tile decodes; the indices have SHA-256 ${digest}`;
  }),
);
listen('save-png', 'click', () =>
  attempt(async () => {
    // Of large pictures what is seen is saved.
    const area = shown && shown.reduction > 1 ? viewer.area : viewer.whole;
    const data = await client.ask('png', { area });
    const stem = (element('name').textContent ?? '').replace(/\.[^.]*$/, '');
    save(data, `${stem || 'picture'}.png`, 'image/png');
  }),
);

document.addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('is-over');
});
for (const name of ['dragleave', 'drop'] as const)
  document.addEventListener(name, () => document.body.classList.remove('is-over'));
document.addEventListener('drop', (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer?.files ?? [];
  if (file) void open(file, file.name);
});
document.addEventListener('paste', (event) => {
  const [file] = event.clipboardData?.files ?? [];
  if (file) void open(file, file.name);
});

/** `vqcodec view FILE` offers its file under a name in the address. */
const named = new URLSearchParams(location.search).get('file');
if (named)
  void attempt(async () => {
    const response = await fetch('file');
    if (!response.ok) throw new Problem('Picture', `${named} cannot be read`);
    await open(await response.blob(), named);
  });
