// How numbers, durations and moments are written.

const whole = new Intl.NumberFormat("en");
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** A count, such as 12,345. */
export const count = (number) => whole.format(number);

/** So many per second; always one decimal below 100, so that the width stays. */
export const rate = (number) =>
  number < 99.95 ? tenths.format(number) : count(Math.round(number));

/** A share as per cent. */
export const percent = (share) => `${Math.round(share * 100)} %`;

/** Seconds, in the unit that suits them. */
export function duration(seconds) {
  if (seconds < 0.001) return seconds > 0 ? "<1 ms" : "0 ms";
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${tenths.format(seconds)} s`;
  const all = Math.round(seconds);
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`;
  const minutes = Math.floor(all / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.floor(minutes / 60);
  return `${count(Math.floor(hours / 24))} d ${hours % 24} h`;
}

/** A sentence of the service; its seconds, if they are many, in the unit that suits them. */
export const withDurations = (text) =>
  text.replace(/\b\d{2,} s\b/g, (seconds) =>
    parseInt(seconds) < 60 ? seconds : duration(parseInt(seconds)),
  );

/** The time of day of a moment, with its date if that is not today's. */
export function clock(iso) {
  const moment = new Date(iso);
  const time = moment.toLocaleTimeString("en-GB");
  if (moment.toDateString() === new Date().toDateString()) return time;
  return `${moment.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}

const zones = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });

/** The time zone that all times are written in, as it is called at this moment. */
export const zoneAt = (iso) =>
  zones.formatToParts(new Date(iso)).find(({ type }) => type === "timeZoneName").value;

/** The same as `clock`, with the time zone. */
export const clockInZone = (iso) => `${clock(iso)} ${zoneAt(iso)}`;

/** The same to the millisecond. */
export const exactly = (iso) => `${clock(iso)}.${iso.slice(20, 23).padEnd(3, "0")}`;

/** Seconds from one moment to another, to the microsecond, which a Date does not have. */
export const between = (from, to) => seconds(to) - seconds(from);

const seconds = (iso) =>
  Date.parse(`${iso.slice(0, 19)}Z`) / 1000 + Number(`0${iso.slice(19, -1)}`);

/** The same with a capital at its beginning. */
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** "1 job", "2 jobs". */
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** The value of JSON text. When it is written again, its numbers look the same. */
export function exact(text) {
  const keep = (key, value, context) =>
    typeof value === "number" && JSON.rawJSON && context?.source !== undefined
      ? JSON.rawJSON(context.source)
      : value;
  return JSON.parse(text, keep);
}
