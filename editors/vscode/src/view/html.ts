/** The page of the chat view: nothing is loaded that is not named here, no script without the nonce. */

export interface Assets {
  readonly script: string;
  readonly style: string;
  readonly icons: string;
  readonly cspSource: string;
  readonly nonce: string;
}

export function page({ script, style, icons, cspSource, nonce }: Assets): string {
  const policy = [
    "default-src 'none'",
    `style-src ${cspSource}`,
    `font-src ${cspSource}`,
    `img-src ${cspSource} data:`,
    `script-src 'nonce-${nonce}'`,
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${icons}">
<link rel="stylesheet" href="${style}">
<title>Agent</title>
</head>
<body>
<header id="head"></header>
<main id="transcript" tabindex="0" role="log" aria-label="Conversation"></main>
<div id="dock"></div>
<div id="composer"></div>
<section id="sessions" hidden aria-label="Sessions"></section>
<script nonce="${nonce}" src="${script}"></script>
</body>
</html>`;
}
