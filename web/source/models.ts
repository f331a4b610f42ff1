/** Model files of all architectures that the page knows. */

import type { Kernel } from './kernel.ts';
import type { Model } from './model.ts';
import { Paper } from './paper.ts';
import { Photo } from './photo.ts';
import { Problem } from './problems.ts';
import { ModelFile } from './tensors.ts';

/** Reads a model file whose hash has been checked. Throws a Problem. */
export function readModel(kernel: Kernel, data: Uint8Array<ArrayBuffer>, sha256: string): Model {
  const file = new ModelFile(data);
  const { architecture } = file.metadata;
  try {
    if (architecture === 'photo-1' || architecture === 'photo-2')
      return new Photo(kernel, file, sha256, architecture === 'photo-2');
    if (architecture === 'vqvae-pixelcnn-1') return new Paper(kernel, file, sha256);
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem('Model', 'the model has not the tables that its architecture has');
  }
  throw new Problem(
    'Model',
    `the model is of architecture ${architecture}, which this page does not know`,
  );
}
