/** How full the context is and what it has cost. */
import type { Usage } from '../../viewmodel.ts';
import { el } from './dom.ts';

export function meterOf(usage: Usage | undefined, windowOfModel: number): HTMLElement {
  const meter = el('span', { class: 'meter', role: 'img', hidden: !usage || usage.usedTokens === 0 });
  if (!usage) {
    return meter;
  }
  const { usedTokens, costUsd, estimated } = usage;
  const size = usage.contextWindow || windowOfModel;
  const about = estimated ? '≈' : '';
  const of = size > 0 ? ` of ${size.toLocaleString()}` : '';
  const title = `${about}${usedTokens.toLocaleString()}${of} tokens of context, ${about}$${costUsd.toFixed(4)}`;
  meter.title = title;
  meter.setAttribute('aria-label', title);
  const cost = costUsd > 0 ? ` · $${costUsd.toFixed(costUsd < 1 ? 3 : 2)}` : '';
  if (size > 0) {
    const share = Math.min(100, Math.round((usedTokens / size) * 100));
    meter.append(el('progress', { max: '100', value: String(share) }), `${share}%${cost}`);
  } else {
    meter.append(`${about}${short(usedTokens)}${cost}`);
  }
  return meter;
}

function short(tokens: number): string {
  return tokens < 1000 ? `${tokens} tokens` : `${(tokens / 1000).toFixed(1)}k tokens`;
}
