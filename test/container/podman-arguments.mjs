/**
 * Says in the words of `podman run` what docker-compose.yml, as JSON on stdin, says about one service: an option per
 * line, then the image. Variables come from the environment; networks and published ports are left out.
 *
 *   node podman-arguments.mjs orchestrator <docker-compose.json
 */
import { readFileSync } from 'node:fs';

const KEYS = {
  image: () => [],
  build: () => [],
  depends_on: () => [],
  ports: () => [],
  restart: () => [], // the test watches how containers end
  environment: (variables) => Object.entries(variables).map(([name, value]) => `--env=${name}=${value}`),
  volumes: (volumes) => volumes.map((volume) => `--volume=${volume}`),
  healthcheck: ({ test, interval, timeout, retries, start_period, ...rest }) => {
    refuse('healthcheck', rest);
    if (test.shift() !== 'CMD') throw new Error('Only health checks of the form [CMD, …] are understood.');
    return [
      `--health-cmd=${JSON.stringify(test)}`,
      `--health-interval=${interval}`,
      `--health-timeout=${timeout}`,
      `--health-retries=${retries}`,
      `--health-start-period=${start_period}`,
    ];
  },
  shm_size: (size) => [`--shm-size=${size}`],
  stop_grace_period: (period) => [`--stop-timeout=${/^(\d+)s$/.exec(period)[1]}`],
  init: (init) => [`--init=${init}`],
  user: (user) => [`--user=${user}`],
  read_only: (readOnly) => [`--read-only=${readOnly}`, '--read-only-tmpfs=false'],
  tmpfs: (paths) => paths.map((path) => `--tmpfs=${path}`),
  cap_drop: (names) => names.map((name) => `--cap-drop=${name}`),
  cap_add: (names) => names.map((name) => `--cap-add=${name}`),
  security_opt: (options) =>
    options.map((option) => `--security-opt=${option.replace(/^no-new-privileges:true$/, 'no-new-privileges')}`),
};

/** A setting that is not understood here would be one that is not tested. */
function refuse(place, settings) {
  const unknown = Object.keys(settings);
  if (unknown.length > 0)
    throw new Error(`${place} has ${unknown.join(', ')}, which ${import.meta.filename} does not know.`);
}

/** `${NAME:-default}` and `$$`, which is all our file uses. */
function interpolated(value) {
  if (Array.isArray(value)) return value.map(interpolated);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, interpolated(each)]));
  }
  if (typeof value !== 'string') return value;
  return value.replace(/\$\$|\$\{(\w+):-([^}]*)\}|\$/g, (text, name, fallback) => {
    if (text === '$$') return '$';
    if (name === undefined) throw new Error(`"${value}" is a substitution that ${import.meta.filename} does not know.`);
    return process.env[name] || fallback;
  });
}

const name = process.argv[2];
const service = interpolated(JSON.parse(readFileSync(0, 'utf8')).services[name]);
refuse(`Service ${name}`, Object.fromEntries(Object.entries(service).filter(([key]) => !(key in KEYS))));
const options = Object.entries(service).flatMap(([key, value]) => KEYS[key](value));
console.log([...options, service.image ?? `nestor-${name}`].join('\n'));
