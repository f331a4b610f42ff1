/** The page's elements, by their ids. */

/** Returns an element that the page has. */
export function element(id: string): HTMLElement;
export function element<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind;
export function element(id: string, kind: new () => HTMLElement = HTMLElement): HTMLElement {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new TypeError(`the page has no ${kind.name} ${id}`);
  return found;
}

export function listen<Name extends keyof HTMLElementEventMap>(
  id: string,
  name: Name,
  act: (event: HTMLElementEventMap[Name]) => void,
): void {
  element(id).addEventListener(name, act);
}

/** Lets the browser save bytes as a file. */
export function save(data: Uint8Array<ArrayBuffer>, name: string, type: string): void {
  const address = URL.createObjectURL(new Blob([data], { type }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
