// Spectrograms: windows of 25 ms, a column each 5 ms or, of long sounds, each of 2,000 parts.

const RATE_HZ = 16000;

// One for all sounds, and for good: a context that is let go may take what it decodes with it.
const decoder = new OfflineAudioContext(1, 1, RATE_HZ);

async function samplesOf(blob) {
  return (await decoder.decodeAudioData(await blob.arrayBuffer())).getChannelData(0);
}

const SIZE = 512;
const WINDOW = Float32Array.from({ length: 400 }, (_, i) => Math.sin((Math.PI * (i + 0.5)) / 400) ** 2);

function levelsOf(samples) {
  const hop = Math.max(80, Math.ceil(samples.length / 2000));
  const columns = Math.ceil(samples.length / hop);
  const rows = SIZE / 2;
  const values = new Float32Array(columns * rows);
  const [real, imaginary] = [new Float32Array(SIZE), new Float32Array(SIZE)];
  for (let column = 0; column < columns; column += 1) {
    real.fill(0);
    imaginary.fill(0);
    for (let i = 0; i < WINDOW.length; i += 1) real[i] = WINDOW[i] * (samples[column * hop + i - WINDOW.length / 2] ?? 0);
    transform(real, imaginary);
    for (let row = 0; row < rows; row += 1) values[column * rows + row] = 10 * Math.log10(real[row] ** 2 + imaginary[row] ** 2 + 1e-12);
  }
  return { columns, rows, values };
}

// The fast Fourier transform in place (Cooley and Tukey, radix 2).
function transform(real, imaginary) {
  const size = real.length;
  for (let i = 1, j = 0; i < size; i += 1) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let length = 2; length <= size; length *= 2) {
    for (let k = 0; k < length / 2; k += 1) {
      const angle = (-2 * Math.PI * k) / length;
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      for (let i = k; i < size; i += length) {
        const j = i + length / 2;
        const [x, y] = [real[j] * c - imaginary[j] * s, real[j] * s + imaginary[j] * c];
        [real[j], imaginary[j]] = [real[i] - x, imaginary[i] - y];
        real[i] += x;
        imaginary[i] += y;
      }
    }
  }
}

const SHADES = {
  light: [[253, 253, 251], [246, 190, 120], [214, 84, 60], [110, 20, 80], [20, 12, 40]],
  dark: [[20, 23, 27], [84, 32, 110], [200, 64, 80], [250, 160, 60], [255, 246, 200]],
};
const darkness = matchMedia("(prefers-color-scheme: dark)");

function paint({ canvas, levels }) {
  const { columns, rows, values } = levels;
  const shades = SHADES[darkness.matches ? "dark" : "light"];
  Object.assign(canvas, { width: columns, height: rows });
  const image = new ImageData(columns, rows);
  values.forEach((value, i) => {
    const place = Math.min(Math.max((value - listening.loud) / 70 + 1, 0), 0.9999) * (shades.length - 1);
    const [low, share] = [Math.floor(place), place % 1];
    const at = 4 * ((rows - 1 - (i % rows)) * columns + Math.floor(i / rows));
    for (let c = 0; c < 3; c += 1) image.data[at + c] = shades[low][c] + share * (shades[low + 1][c] - shades[low][c]);
    image.data[at + 3] = 255;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}
