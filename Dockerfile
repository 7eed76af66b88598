# The bundled orchestrator. PostgreSQL is not in this image: give it DATABASE_URL, or use docker-compose.yml.
#
#   docker build -t nestor .
#   docker build -t nestor --build-arg REVISION="$(git rev-parse HEAD)" --secret id=npmrc,src="$HOME/.npmrc" .
#
# The secret is for registries and proxies of your own; it is optional and stays out of every layer.

ARG NODE_IMAGE=docker.io/library/node:20-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
ENV npm_config_update_notifier=false npm_config_fund=false npm_config_audit=false
COPY package.json package-lock.json .npmrc ./
# No package may run code here: the compiler brings its binary as a package, the embedded PostgreSQL is not used.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --ignore-scripts
COPY .swcrc nest-cli.json tsconfig.json tsconfig.build.json tsconfig.types.json ./
COPY scripts scripts
COPY migrations migrations
COPY libs libs
COPY src src
# JavaScript only: the declarations, which nobody reads in an image, take ten times as long.
RUN npm run build -- --runtime-only

# What src/ needs beyond the library (a platform, the packages of the examples) is a development dependency, so that
# hosts of the library do not get it. Here it is production: whatever dist/src requires moves over, and development
# dependencies go from package.json and, by the prune, from package-lock.json and node_modules. Offline, so that what
# stays is what `npm ci` verified; the last line loads it all.
RUN node -e '\
    const { readdirSync, readFileSync, writeFileSync } = require("node:fs"); \
    const { devDependencies, ...manifest } = JSON.parse(readFileSync("package.json", "utf8")); \
    for (const file of readdirSync("dist/src", { recursive: true }).filter((name) => name.endsWith(".js"))) { \
      const required = /(?:require|import)\(["\x27]((?:@[^"\x27/]+\/)?[^"\x27/]+)/g; \
      for (const [, name] of readFileSync("dist/src/" + file, "utf8").matchAll(required)) { \
        if (name in devDependencies) manifest.dependencies[name] = devDependencies[name]; \
      } \
    } \
    writeFileSync("package.json", JSON.stringify(manifest, undefined, 2) + "\n");' \
  && npm prune --offline --omit=dev --omit=optional \
  && find node_modules -type d -empty -delete \
  && node -e 'require("./dist/src/app.module.js"); require("@nestjs/platform-fastify")'


FROM ${NODE_IMAGE} AS runtime
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="Nestor" \
      org.opencontainers.image.description="Workflow orchestration for NestJS on PostgreSQL alone: server, scheduler and worker in one process." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production \
    NO_COLOR=1 \
    NESTOR_HOST=0.0.0.0 \
    NESTOR_HOME=/var/lib/nestor \
    NESTOR_BUILD_ID="${REVISION}"
RUN install --directory --owner=node --group=node --mode=0750 /var/lib/nestor
WORKDIR /app
COPY LICENSE ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# Both describe what is installed here; the dependency audit reads them.
COPY --from=build /app/package.json /app/package-lock.json ./
USER node
VOLUME /var/lib/nestor
EXPOSE 4200
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.NESTOR_PORT || 4200}/api/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/src/main.js"]
