/** The composition root: builds every concrete part and joins them. */
import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import type { Logger } from "pino";
import { systemClock, systemWallClock } from "./base/clock.js";
import { UserError, messageOf } from "./base/errors.js";
import { newRunId } from "./base/ids.js";
import { ProblemError } from "./base/problem.js";
import { VERSION } from "./base/version.js";
import { capacityPort } from "./capacity-port.js";
import { usualCapacity } from "./config/capacity.js";
import { USUAL_PRICES, priceAt } from "./config/prices.js";
import { DEFAULT_COMPILED, DEFAULT_INSTANCES, DEFAULT_RECORDS, RECORDS_IN_MEMORY } from "./config/resolve.js";
import type { Control } from "./control/control.js";
import { firstKey } from "./control/first-key.js";
import { Ledger } from "./control/ledger.js";
import { NodeCapacity } from "./control/node-capacity.js";
import { parseSaid } from "./control/said.js";
import { ControlPlane } from "./control/plane.js";
import { Library } from "./control/library.js";
import { Programs, type CodeSteps } from "./control/programs.js";
import { exportServing } from "./control/sidecar-check.js";
import { canonical } from "./control/checks.js";
import type { EngineStats, Engine, GuestLine, RunHandle } from "./engine/engine.js";
import { startEngine } from "./engine/native.js";
import type { ComponentInfo } from "./engine/program.js";
import { described, told, type DeployedTask, type Deployment } from "./deployment.js";
import { Costs } from "./dispatch/costs.js";
import { Registry } from "./dispatch/registry.js";
import { RunTimes } from "./forecast/run-times.js";
import { createForecast } from "./forecast/history.js";
import { openHome, type Home } from "./home.js";
import { fetchFront, type Fetch } from "./http/fetch-front.js";
import type { CallsPort } from "./http/calls.js";
import type { Front } from "./http/front.js";
import { nodeFront } from "./http/node-front.js";
import { adminPlane, dataPlane, type HealthPort } from "./http/planes.js";
import { withImports } from "./imports/engine.js";
import { readImports } from "./imports/imports.js";
import { CallError, execute, toJson, type CallPorts } from "./invoke/call.js";
import { Executor } from "./invoke/executor.js";
import { Documents } from "./invoke/documents.js";
import { fetchDocument } from "./invoke/fetch-document.js";
import { laterAsked } from "./invoke/stages/prefer.js";
import { acceptedAnswer, jobDocument } from "./invoke/accepted.js";
import type { Job } from "./deferral/job.js";
import { Ahead } from "./ahead.js";
import { Schedule, type DeferredRuns } from "./schedule.js";
import { IDENTITY, tellIdentity } from "./invoke/identity.js";
import { GuestTriggers, isOfTriggers } from "./invoke/guest-triggers.js";
import { Launcher } from "./invoke/launch.js";
import { Recalls } from "./invoke/recalls.js";
import { SidecarRuns } from "./invoke/sidecar-runs.js";
import { Choosing } from "./invoke/choosing.js";
import { GuestCalls } from "./invoke/guest-calls.js";
import { NamedCalls } from "./invoke/named-calls.js";
import { createInvoke, ourHeaders, type TenantPort } from "./invoke/pipeline.js";
import { acceptedTiming, serverTiming, unexplained } from "./invoke/explain.js";
import { CallFailure, TypedCalls, type CallTarget } from "./invoke/typed-calls.js";
import { withoutCell, type KnownRun, type Run, type RunRecord } from "./invoke/run.js";
import { EndedRuns } from "./invoke/runs.js";
import { STAYS } from "./invoke/waiter.js";
import { obstacle } from "./memo/policy.js";
import { RecordStore } from "./memo/store.js";
import { cacheStatus } from "./memo/verdict.js";
import { LogBook } from "./observe/log-book.js";
import { createLogger, logGuestLine, logRefusal, logRefusedChange, logRun } from "./observe/log.js";
import { Metrics } from "./observe/metrics.js";
import { UsageBook, usageOf, type UsageSources } from "./observe/usage.js";
import { Pool, type PoolCounts } from "./pool/pool.js";
import type { Outlook } from "./pool/views.js";
import type { RequestHead } from "./engine/sidecars.js";
import type { SidecarEntry } from "./sidecars/plan.js";
import { JWKS } from "./sidecars/wire.js";
import { put, table } from "./state/store.js";
import type { RuntimeOptions } from "./runtime-options.js";
import { effectiveCapacity } from "./tasks/capacity.js";
import { Catalog } from "./tasks/catalog.js";
import { MAX_HEADERS, readManifest } from "./tasks/manifest.js";
import { Router, pick } from "./tasks/router.js";
import type { Task } from "./tasks/task.js";
import { noSuch } from "./tenants/refusals.js";
import { callerOf as keyCaller, mayDebug, whoIs } from "./tenants/access.js";
import { Audit } from "./tenants/audit.js";
import { Keys } from "./tenants/keys.js";
import { TenantGates } from "./tenants/quotas.js";
import { parseInterfaceName } from "./wit/capability.js";
import { ANONYMOUS, DEFAULT_TENANT, USUAL_TERMS, type Caller, type CapacityTerms } from "./tenants/tenant.js";
import { Tenants } from "./tenants/tenants.js";

/** What the configuration had of a task when it was last deployed from there. */
const CONFIGURED = table<string>("configured");

export type { RuntimeOptions } from "./runtime-options.js";

export interface RuntimeStats {
  readonly engine: EngineStats;
  readonly pool: PoolCounts;
  readonly liveRuns: number;
  readonly code: CodeSteps;
}

/** How long `close` waits for runs before it ends them. */
const CLOSE_MS = 10_000;
/** How long a cancelled run may take to end; two ticks are usual. */
const CANCELLED_MS = 1000;
const KEEP_RESIDENT_BYTES = 2 * 2 ** 20;
/** Runs of one tenant that may wait at once. */
const QUEUE = 10_000;
const ADMIN_CLOSE_MS = 1000;
/** How often what nobody uses is let go; and how much of the time of day a restart may forget. */
const HOUSEKEEPING_MS = 60_000;

/** How long a deploy waits for a sidecar's start; what takes longer is found by the first run. */
const TRY_SIDECAR_MS = 10_000;
const NO_SIDECARS: readonly SidecarEntry[] = Object.freeze([]);

/** The program that embeds Pilotlight, or `pilotlight serve` for the tasks of its configuration. */
const OPERATOR: Caller = { kind: "operator", name: "process" };

/** For so many instances there is one more, for a call of a run that finds no other room. */
const INSTANCES_FOR_A_CALL = 8;

export class Runtime implements AsyncDisposable {
  readonly #home: Home;
  readonly #engine: Engine;
  readonly #executor: Executor;
  readonly #pool: Pool;
  readonly #router: Router;
  readonly #launcher: Launcher;
  readonly #recalls: Recalls;
  readonly #records: RecordStore;
  readonly #schedule: Schedule;
  readonly #ahead: Ahead;
  /** That what starts tasks by itself is known of those that requests get now. */
  #refreshed: Promise<void> = Promise.resolve();
  readonly #sidecars: SidecarRuns;
  readonly #library: Library;
  readonly #documents: Documents;
  readonly #calls: TypedCalls;
  readonly #named: NamedCalls;
  readonly #tenantPort: TenantPort;
  readonly #programs: Programs;
  readonly #control: ControlPlane;
  readonly #usage: UsageBook;
  readonly #compiledBytes: number;
  readonly #keys: Keys;
  readonly #tenants: Tenants;
  readonly #logs: LogBook;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #fetch: Fetch;
  readonly #invoke: ReturnType<typeof createInvoke>;
  readonly #reserveOwn: boolean;
  readonly #uploadBytes: number | undefined;
  readonly #dataFronts: Front[] = [];
  readonly #adminFronts: Front[] = [];
  #dataUrl: string | undefined;
  readonly #housekeeper: NodeJS.Timeout;
  #draining = false;
  #closing: Promise<void> | undefined;

  /** Throws an error that says what is wrong when the addon or the data folder cannot be used. */
  constructor(options: RuntimeOptions) {
    const instances = options.instances ?? DEFAULT_INSTANCES;
    const callSlots = Math.max(1, Math.floor(instances / INSTANCES_FOR_A_CALL));
    this.#log = createLogger(options.log ?? "silent", options.logTo);
    const providers = readImports(options.imports ?? {});
    this.#reserveOwn = options.guestsOwnEverything !== true;
    this.#uploadBytes = options.uploadBytes;
    this.#router = new Router(options.hosts);
    const report = (problem: string): void => this.#log.error(problem);
    const home = openHome(options.data, options.durable ?? false, options.wall ?? (() => systemWallClock.time()), report);
    this.#home = home;
    const wall = (): number => home.clock.time();
    try {
      const engine = startEngine({
        cache: home.compiled,
        instances: instances + callSlots,
        threads: options.threads ?? 0,
        keepResidentBytes: KEEP_RESIDENT_BYTES,
        onDemand: options.onDemand ?? false,
        backtraces: false,
        keyValue: { path: home.stores, sync: options.sync ?? "group" },
      });
      this.#engine = withImports(engine, providers);
    } catch (error) {
      void home.state.close();
      void home.records.state.close();
      void home.deferred.close();
      throw error;
    }
    this.#records = new RecordStore(
      {
        ...home.records,
        budget: options.records?.bytes ?? DEFAULT_RECORDS,
        memory: options.records?.memoryBytes ?? RECORDS_IN_MEMORY,
        random: Math.random,
        report: (error) => this.#report(error),
      },
      this.#engine.kv.revision(),
    );
    const settings = new NodeCapacity(home.state, options.capacity ?? usualCapacity(instances));
    for (const { field, message } of settings.contradictions)
      this.#log.error(
        `what was set of the node's capacity does not go together with its configuration, which holds alone: ${field}: ${message}`,
      );
    const forecast = createForecast({ wall: (now) => now + performance.timeOrigin });
    const parallelism = options.threads === undefined || options.threads === 0 ? availableParallelism() : options.threads;
    this.#pool = new Pool({ slots: instances, callSlots, parallelism, queue: QUEUE }, settings.current, forecast);
    this.#compiledBytes = options.compiledBytes ?? DEFAULT_COMPILED;
    this.#metrics = new Metrics({
      engine: () => this.#engine.stats(),
      pool: () => this.#pool.counts(),
      capacity: this.#pool,
      code: () => this.#programs.steps(),
      records: () => this.#records.figures(),
      later: { foresight: () => this.#ahead.foresight.totals(), deferred: () => this.#schedule.figures() },
      liveRuns: () => this.#executor.liveCount,
      connections: () => this.#dataFronts.reduce((sum, front) => sum + front.connections(), 0),
    });
    this.#logs = new LogBook(wall);
    const terms = (tenant: string): CapacityTerms => this.#tenants.get(tenant)?.capacity ?? USUAL_TERMS;
    this.#library = new Library(() => this.#programs);
    const sidecar = (tenant: string, name: string): Task | undefined => this.#pick(tenant, name) ?? this.#library.task(tenant, name);
    this.#programs = new Programs({
      sidecars: {
        find: sidecar,
        names: (tenant) => this.#sidecarNames(tenant),
        describe: ({ version }) => this.#programs.describe(version.program),
        try: (entry, task) => this.#sidecars.try(entry, task, TRY_SIDECAR_MS),
      },
      engine: this.#engine,
      secretsAt: (tenant, manifest) => this.#control.live.secretsAt(tenant, manifest),
      executor: {
        tell: (event) => this.#executor.tell(event),
        try: (program, limitMs) => this.#executor.try(program, limitMs),
        retire: (program) => this.#executor.retire(program),
      },
      components: this.#library.behind(home.components),
      forms: home.forms,
      terms,
      isProvided: (capability) => {
        const name = parseInterfaceName(capability);
        return name !== undefined && registry.serving(name).length > 0;
      },
      used: (tenant, name) => {
        const task = this.#control.live.of(tenant, name);
        return task && this.#programs.describe(task.version.program);
      },
    });
    this.#tenants = new Tenants(home.state, wall);
    this.#usage = new UsageBook(home.state, {
      wall,
      priceAt: (pool, time) => priceAt(options.prices ?? USUAL_PRICES, pool, time),
      known: (tenant) => this.#tenants.get(tenant) !== undefined,
    });
    const used: UsageSources = {
      overcommit: () => settings.current.overcommit,
      poolOf: ({ tenant, version }) => effectiveCapacity(version.manifest.capacity, terms(tenant)).pool,
      concurrent: ({ key }) => forecast.of(key).running,
    };
    const registry = new Registry();
    const choosing = new Choosing({
      registry,
      costs: new Costs(),
      clock: systemClock,
      random: Math.random,
      preferOf: (tenant) => this.#tenants.get(tenant ?? DEFAULT_TENANT)?.prefer,
      outlook: (program) => this.#outlook(program),
    });
    this.#executor = new Executor({
      called: (call, caller) => guestCalls.called(call, caller),
      consulted: (consulted) => this.#sidecars.consulted(consulted),
      callOff: (run) => this.#launcher.cancel(run),
      asked: (ask, caller) => {
        if (ask.interface === IDENTITY) tellIdentity(this.#engine, ask, caller);
        else if (ask.interface === JWKS) this.#documents.asked(ask, caller);
        else if (isOfTriggers(ask.interface)) guestTriggers.asked(ask, caller);
        else this.#named.asked(ask, caller);
      },
      engine: this.#engine,
      pool: this.#pool,
      clock: systemClock,
      processors: parallelism,
      ended: new EndedRuns(),
      code: this.#programs,
      mask: (text, tenant) => home.secrets.mask(text, tenant),
      observer: {
        settled: (run) => {
          this.#launcher.ended(run);
          this.#documents.ended(run);
          // It has its line, and is counted, when it has run.
          if (run.later?.job !== undefined) return;
          if (run.expected === undefined) this.#ahead.look();
          this.#ahead.settled(run);
          if (run.grantedAt !== undefined && run.settledAt !== undefined) runTimes.note(run.task.key, run.settledAt - run.grantedAt);
          this.#metrics.settled(run);
          logRun(this.#log, run);
          this.#logs.settled(run);
          this.#usage.settled(usageOf(run, used));
        },
        lines: (lines, runOf) => this.#lines(lines, runOf),
        prepared: (nanoseconds) => this.#metrics.prepared(nanoseconds),
        prepareFailed: (outcome) => {
          // What is cut off by the end of the node is no failure.
          if (outcome.kind === "platform" && outcome.code === "closing") return;
          this.#log.warn({ outcome }, "an instance could not be made ahead of demand");
        },
        raiseFailed: (program, error) => {
          const { tenant, source = `program ${program}` } = this.#programs.named(program) ?? {};
          this.#log.error({ tenant, err: error }, `${source} cannot be linked: ${messageOf(error)}`);
        },
      },
    });
    const runTimes = new RunTimes();
    const guestTriggers = new GuestTriggers({
      engine: this.#engine,
      hear: (tenant, sender, said) => this.#ahead.hear(tenant, sender, said),
      send: (tenant, queue, message) => this.#schedule.triggers.send(tenant, queue, message),
    });
    // Where nobody has keys, whoever is on this machine may.
    const mayLook = (caller: Caller, tenant: string, peer: string): boolean =>
      mayDebug(caller, tenant) || (!home.durable && isLoopback(peer));
    const gates = new TenantGates((tenant) => this.#tenants.get(tenant)?.quotas ?? {});
    const enter = (tenant: string, memoryBytes: number, now: number): ReturnType<TenantGates["enter"]> =>
      gates.enter(tenant, memoryBytes, now);
    const describe = ({ version }: Task): Promise<ComponentInfo> => this.#programs.describe(version.program);
    this.#sidecars = new SidecarRuns({
      executor: this.#executor,
      clock: systemClock,
      enter: (tenant, memoryBytes) => gates.stand(tenant, memoryBytes),
      engine: this.#engine,
      describe,
      isCurrent: (task) => this.#isCurrent(task),
    });
    this.#documents = new Documents({
      engine: this.#engine,
      fetch: (url) => fetchDocument(url, (address) => this.#engine.isPublic(address)),
    });
    this.#recalls = new Recalls({
      executor: this.#executor,
      engine: this.#engine,
      store: this.#records,
      clock: systemClock,
      wall,
      print: ({ version }) => this.#programs.print(version.program),
      isCurrent: (task) => this.#isCurrent(task),
      live: (key) => this.#live(key),
      outbound: ({ version }) => this.#programs.outbound(version.program),
      resolve: options.records?.resolve,
      defers: (run) => this.#schedule.later.takes(run),
      hasSecret: (tenant, texts) =>
        home.secrets.names(tenant).length > 0 && texts.map((text) => text()).some((text) => home.secrets.mask(text, tenant) !== text),
      concluded: ({ id, task, origin }, recorded) =>
        this.#log.info({ run: id, tenant: task.tenant, task: task.name, path: origin.path, recorded }, "record"),
      report: (error) => this.#report(error),
    });
    this.#launcher = new Launcher({
      recalls: this.#recalls,
      executor: this.#executor,
      engine: this.#engine,
      runs: this.#sidecars,
      clock: systemClock,
      sidecar,
      required: (tenant) => this.#tenants.get(tenant)?.sidecars ?? NO_SIDECARS,
      arrived: (run, request) => this.#ahead.arrived(run, request),
      bindings: ({ version }) => this.#programs.bindings(version.program),
      failed: (run, name, reason) =>
        this.#log.warn(
          { tenant: run.task.tenant, task: run.task.name, run: run.id, sidecar: name },
          `the sidecar ${name} failed: ${reason}`,
        ),
    });
    const attempts = { executor: this.#executor, clock: systemClock, choosing, enter, launcher: this.#launcher };
    const guestCalls = new GuestCalls({
      ...attempts,
      beside: this.#launcher,
      engine: this.#engine,
      live: (tenant, name) => this.#pick(tenant, name),
      exportFor: ({ version }, imported) => {
        const info = this.#programs.info(version.program);
        return (info && exportServing(info, imported)) ?? imported;
      },
    });
    const audit = new Audit(home.state, home.clock);
    this.#keys = new Keys(home.state, home.clock);
    this.#schedule = new Schedule({
      state: home.deferred,
      durable: home.durable,
      wall,
      clock: systemClock,
      log: this.#log,
      executor: this.#executor,
      runs: {
        ...attempts,
        engine: this.#engine,
        pick: (tenant, name) => this.#pick(tenant, name),
        callerOf: (id) => {
          const key = this.#keys.get(id);
          return key === undefined || (key.expiresAt !== undefined && Date.parse(key.expiresAt) <= wall()) ? undefined : keyCaller(key);
        },
        describe,
        report: (error) => this.#report(error),
        mayExplain: mayLook,
      },
      priceAt: (pool, time) => priceAt(options.prices ?? USUAL_PRICES, pool, time),
      poolOf: (task) => used.poolOf(task),
      tasks: () => this.#router.all(),
      kv: this.#engine.kv,
      expectedMs: ({ key }) => runTimes.of(key),
      knows: (tenant) => this.#tenants.get(tenant) !== undefined,
      report: (error) => this.#report(error),
    });
    this.#control = new ControlPlane({
      registry,
      library: this.#library,
      sidecars: { find: sidecar, names: (tenant) => this.#sidecarNames(tenant) },
      standing: (tenant, name) => this.#sidecars.standing(`${tenant}/${name}`),
      run: (id) => this.#executor.live(id),
      launcher: this.#launcher,
      choosing,
      ledger: new Ledger(home.state, audit),
      audit,
      tenants: this.#tenants,
      keys: this.#keys,
      secrets: home.secrets,
      gates,
      catalog: new Catalog(home.state, wall),
      components: home.components,
      programs: this.#programs,
      capacity: capacityPort(
        this.#pool,
        () => this.#executor,
        () => this.#programs,
      ),
      settings,
      usage: this.#usage,
      router: this.#router,
      stores: this.#engine.kv,
      revisionKey: home.secrets.derived("store revisions"),
      logs: this.#logs,
      records: this.#records,
      deferred: this.#schedule.deferred,
      triggersKnown: () => this.#refreshed,
      pretriggers: {
        view: (tenant) => ({ ...this.#ahead.view(tenant), firstCalls: this.#ahead.firstCalls(tenant) }),
        hear: (tenant, sender, body) => this.#ahead.hear(tenant, sender, parseSaid(body, home.clock.time())),
        reset: (tenant, cause) => this.#ahead.reset(tenant, cause),
      },
      version: VERSION,
      dataUrl: () => this.#dataUrl,
      endRuns: (tenant) => {
        this.#executor.forget(tenant);
        this.#ahead.forget(tenant);
        this.#schedule.forget(tenant).catch((error: unknown) => this.#report(error));
        this.#library.forget(tenant);
      },
      report: (error) => this.#report(error),
    });
    this.#ahead = new Ahead({
      state: home.deferred,
      clock: systemClock,
      wall,
      taskOf: (tenant, name) => this.#likeliest(tenant, name),
      costOf: (program) => this.#pool.costOf(program),
      free: () => {
        const { budgetBytes, lobbyChargedBytes } = this.#pool.view();
        const inCells = this.#pool.cells().reduce((sum, { chargedBytes }) => sum + chargedBytes, 0);
        return Math.max(0, budgetBytes - lobbyChargedBytes - inCells);
      },
      tell: (event) => this.#executor.tell(event),
      upcoming: () => this.#schedule.upcoming(),
      knows: (tenant) => this.#tenants.get(tenant) !== undefined,
      report: (error) => this.#report(error),
    });
    this.#router.whenChanged(() => {
      this.#refreshed = this.#schedule.refresh().then(() => this.#ahead.refresh());
    });
    this.#tenantPort = {
      identify: (key) => this.#control.identify(key),
      enter: (tenant, memoryBytes, now) => gates.enter(tenant, memoryBytes, now),
      // Where nobody has keys, callers on this machine hold every scope.
      mayDebug: mayLook,
    };
    this.#calls = new TypedCalls({
      ...attempts,
      pick: (tenant, name) => this.#pick(tenant, name),
      describe,
      draining: () => this.#draining,
      mayDebug,
      holds: (task, frame, from) => this.#recalls.holds(task, frame, from),
    });
    this.#named = new NamedCalls({ engine: this.#engine, calls: this.#calls, choosing });
    this.#invoke = createInvoke({
      tasks: this.#router,
      tenants: this.#tenantPort,
      executor: this.#executor,
      launcher: this.#launcher,
      engine: this.#engine,
      clock: systemClock,
      random: Math.random,
      wall,
      draining: () => this.#draining,
      refused: (incoming, run, problem) => logRefusal(this.#log, incoming, run, problem),
    });
    this.#housekeeper = setInterval(() => void this.#keepHouse(), HOUSEKEEPING_MS).unref();
    this.#fetch = fetchFront({ plane: (guest) => this.#dataPlane(guest), invoke: this.#invoke, report: (error) => this.#report(error) });
  }

  /**
   * Links what was deployed before, and clears away what nothing needs any more. A task that cannot be served any more
   * is told of in the log; the others are.
   */
  async start(): Promise<void> {
    // The default tenant's beginning, which its audit log is read from.
    const first = this.#tenants.ensured();
    if (first.changes.length > 0) await this.#home.state.commit(first.changes);
    first.apply();
    for (const fault of this.#control.restoreCapacity()) this.#log.error(fault);
    this.#control.live.restore(({ tenant, name }, error) =>
      this.#log.error({ tenant, task: name, err: error }, `the task ${name} of tenant ${tenant} cannot be served: ${messageOf(error)}`),
    );
    await this.#control.settle();
    await this.#control.desk.collect();
    await this.#records.tidy();
    await this.#schedule.start();
    await this.#home.collectCompiled(this.#control.desk.digests());
  }

  /** The control plane: tenants, keys, tasks, aliases, secrets, stores, audit, logs. `operator` is the caller to use with it. */
  get control(): Control {
    return this.#control;
  }

  /** The process itself, which may do everything. */
  readonly operator: Caller = OPERATOR;

  /**
   * Compiles, links and puts a task of the default tenant in place; the version before it takes no more runs from then
   * on. The same bytes and manifest again change nothing. Throws a `UserError` that says what is wrong with manifest or
   * component; nothing has changed then.
   */
  async deploy(deployment: Deployment): Promise<DeployedTask & { readonly component: ComponentInfo }> {
    this.#mustBeOpen();
    const { desk, live } = this.#control;
    const source = deployment.source ?? deployment.manifest.component ?? "the component";
    const where = `the manifest of ${deployment.manifest.name}`;
    const document = { component: "component.wasm", ...deployment.manifest };
    const { name } = readManifest(document, where);
    const extras = deployment.own === undefined ? { source } : { source, own: deployment.own };
    await told(where, () => desk.deploy(OPERATOR, DEFAULT_TENANT, { manifest: document, component: deployment.component }, extras));
    // Nobody can go back to a version here once the process ends, so those that were replaced need no room.
    if (!this.#home.durable) await desk.forgetUnused(OPERATOR, DEFAULT_TENANT, name);
    const task = live.of(DEFAULT_TENANT, name) as Task;
    const component = await this.#programs.describe(task.version.program);
    return { ...described(task, component), component };
  }

  /**
   * Deploys a task of the node's configuration, unless it is what the configuration had when it was last deployed from
   * there: a rollback, or a deploy over the network, outlives a restart.
   */
  async configure(deployment: Deployment): Promise<void> {
    const name = deployment.manifest.name;
    const print = createHash("sha256").update(canonical(deployment.manifest)).update(deployment.component).digest("hex");
    const { state } = this.#home;
    if (state.get(CONFIGURED, name) === print && this.#control.live.of(DEFAULT_TENANT, name) !== undefined) return;
    await this.deploy(deployment);
    await state.commit([put(CONFIGURED, name, print)]);
  }

  /**
   * The text of the admin key that the node's first start writes to `admin.key` in the data folder (mode 0600).
   * `path` is given by that start alone; `text` while the key holds.
   */
  async adminKey(data: string): Promise<{ readonly text: string | undefined; readonly path: string | undefined }> {
    return firstKey(data, this.#home.state, this.#keys, this.#control);
  }

  /** Takes a task of the default tenant away; runs in progress finish. Resolves with false when there is none of that name. */
  async remove(name: string): Promise<boolean> {
    const { desk, live } = this.#control;
    if (live.of(DEFAULT_TENANT, name) === undefined) return false;
    await told(name, () => desk.delete(OPERATOR, DEFAULT_TENANT, name, undefined));
    return true;
  }

  /** The default tenant's tasks. */
  tasks(): DeployedTask[] {
    return this.#control.live.all(DEFAULT_TENANT).map((task) => described(task, this.#programs.info(task.version.program)));
  }

  /**
   * Calls an exported function: `call("calc", "demo:math/calc#add", [1, 2])` of a task, `call("calc", "go")` of its world
   * itself, or `call("acme:image/resize@1.2.0", "resize", [80])` of whichever task provides the capability. Arguments are an
   * array, or an object by parameter name; values as in `docs/values.md`. Rejects with a `CallError`.
   */
  async call(target: string, func: string, args: readonly unknown[] | Readonly<Record<string, unknown>> = []): Promise<unknown> {
    const hash = func.lastIndexOf("#");
    const frame = {
      kind: "call" as const,
      interface: hash < 0 ? "" : func.slice(0, hash),
      function: func.slice(hash + 1),
      arguments: toJson(args),
    };
    const json = target.includes(":")
      ? await this.#callCapability(target, frame.function, frame.arguments)
      : (await execute(this.#ports(), this.#task(target), "call", frame)).json;
    return json === undefined ? undefined : (JSON.parse(json) as unknown);
  }

  async #callCapability(capability: string, func: string, json: string): Promise<string | undefined> {
    this.#mustBeOpen();
    try {
      const answer = await this.#calls.call({
        target: { kind: "capability", capability },
        interface: capability,
        function: func,
        arguments: () => json,
        bytes: json.length,
        caller: OPERATOR,
        debug: true,
        prefer: undefined,
        requestId: undefined,
        traceparent: undefined,
        waiter: STAYS,
      });
      return answer.json;
    } catch (error) {
      if (error instanceof CallFailure && error.settled?.outcome !== undefined)
        throw new CallError(error.settled.id, error.settled.outcome, error.problem);
      throw error;
    }
  }

  /** Runs a `wasi:cli/run` task to its end and resolves with its exit status. */
  async run(task: string): Promise<number> {
    const { exit } = await execute(this.#ports(), this.#task(task), "command", { kind: "command" });
    return exit;
  }

  /** Answers a request from the deployed tasks. Mounts in any Hono app or anything that takes a fetch handler. */
  readonly fetch: Fetch = (request) => this.#fetch(request);

  /** A server for the tasks, not yet listening. */
  dataFront(): Front {
    const front = nodeFront({
      plane: (guest) => this.#dataPlane(guest),
      invoke: this.#invoke,
      // What a manifest may allow at most, and room for the request line; the pipeline refuses by the task's own limit.
      headerBytes: MAX_HEADERS + 16 * 1024,
      report: (error) => this.#report(error),
    });
    this.#dataFronts.push(front);
    return {
      ...front,
      listen: async (address) => {
        const listening = await front.listen(address);
        this.#dataUrl = listening.url;
        return listening;
      },
    };
  }

  /** A server for the admin API, health and metrics, not yet listening. `open`: others than this machine reach it. */
  adminFront(open = false): Front {
    const plane = adminPlane({
      health: this.#health(),
      metrics: () => this.#metrics.render(),
      report: (error) => this.#report(error),
      refused: (change) => logRefusedChange(this.#log, change),
      control: this.#control,
      metricsNeedKey: open,
      ...(this.#uploadBytes === undefined ? {} : { uploadBytes: this.#uploadBytes }),
    });
    const front = nodeFront({ plane: () => plane, report: (error) => this.#report(error) });
    this.#adminFronts.push(front);
    return front;
  }

  /** What was accepted to be run later. */
  get deferred(): DeferredRuns {
    return this.#schedule.deferred;
  }

  /** What is foreseen and announced. */
  get ahead(): Pick<Ahead, "hear" | "view"> {
    return this.#ahead;
  }

  /** The record of a live run, or of one of the last 10,000 that ended. */
  runRecord(id: string): RunRecord | undefined {
    return this.#executor.known(id)?.record;
  }

  stats(): RuntimeStats {
    return { engine: this.#engine.stats(), pool: this.#pool.counts(), liveRuns: this.#executor.liveCount, code: this.#programs.steps() };
  }

  /** Takes no more runs; lets those that run finish for at most `limitMs`, ends the rest, and gives everything back. */
  close(limitMs: number = CLOSE_MS): Promise<void> {
    return (this.#closing ??= this.#close(limitMs));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(limitMs: number): Promise<void> {
    this.#draining = true;
    this.#schedule.stop();
    this.#ahead.stop();
    await Promise.all([...this.#dataFronts.map((front) => front.close(limitMs)), this.#executor.drained(limitMs)]);
    this.#recalls.close();
    this.#executor.cancelAll();
    // So that they end as cancelled, and not by the end of their engine.
    await this.#executor.drained(CANCELLED_MS);
    await this.#schedule.close();
    await this.#sidecars.close(CANCELLED_MS);
    // Until here whoever asks is told that the node is not ready.
    await Promise.all(this.#adminFronts.map((front) => front.close(ADMIN_CLOSE_MS)));
    await this.#programs.rest();
    await this.#engine.close();
    clearInterval(this.#housekeeper);
    await this.#keepHouse();
    await this.#records.close();
    await this.#home.records.state.close();
    await this.#home.deferred.close();
    await this.#home.state.close();
    this.#executor.stop();
    this.#metrics.stop();
    await new Promise<void>((resolve) => this.#log.flush(() => resolve()));
  }

  #dataPlane(guest: Parameters<typeof dataPlane>[0]["guest"]): ReturnType<typeof dataPlane> {
    const runs = {
      get: (id: string, key: string | undefined) => {
        const job = this.#schedule.jobs.get(id);
        const known = this.#executor.known(id);
        if (job !== undefined)
          return this.#maySeeJob(job, key) ? { ...jobDocument(job), ran: known && withoutCell(known.record) } : undefined;
        return known !== undefined && this.#maySee(known, key) ? known.record : undefined;
      },
      result: (id: string, key: string | undefined) => {
        const job = this.#schedule.jobs.get(id);
        const result = job && this.#schedule.jobs.result(id);
        if (job === undefined || result === undefined) return job && { job, result };
        // Who asks for it may be another than whoever wanted to be told.
        const may = !this.#home.durable || mayDebug((key === undefined ? undefined : this.#control.identify(key)) ?? ANONYMOUS, job.tenant);
        return { job, result: may ? result : unexplained(result) };
      },
      cancel: async (id: string) => {
        if ((await this.#schedule.deferral.cancel(id)) !== undefined) return;
        const run = this.#executor.live(id);
        if (run !== undefined) this.#launcher.cancel(run);
      },
    };
    return dataPlane({
      health: this.#health(),
      runs,
      calls: this.#callsPort(),
      pretriggers: { hear: (key, tenant, body) => this.#hear(key, tenant, body) },
      guest,
      reserveOwn: this.#reserveOwn,
      report: (error) => this.#report(error),
    });
  }

  /** Calls of functions over HTTP. Where nobody has keys, whoever reaches the node may call everything. */
  #callsPort(): CallsPort {
    const whose = (key: string | undefined): Caller =>
      this.#home.durable ? needInvoke(key === undefined ? undefined : this.#control.identify(key)) : OPERATOR;
    const targetOf = (target: Parameters<CallsPort["describe"]>[0], caller: Caller): CallTarget =>
      target.kind === "capability"
        ? target
        : { ...target, tenant: (caller.kind === "key" ? caller.key.tenant : undefined) ?? target.tenant ?? DEFAULT_TENANT };
    const mayExplain = (caller: Caller, tenant: string): boolean => !this.#home.durable || mayDebug(caller, tenant);
    /** What became a run has a line of its own. */
    const logRefused = (error: unknown, caller: Caller, head: RequestHead, run: string | undefined): void => {
      if (!(error instanceof ProblemError) || error instanceof CallFailure) return;
      logRefusal(this.#log, { method: head.method, target: head.pathWithQuery }, run, error.problem, whoIs(caller));
    };
    const callerOf = (key: string | undefined, head: () => RequestHead): Caller => {
      try {
        return whose(key);
      } catch (error) {
        logRefused(error, ANONYMOUS, head(), undefined);
        throw error;
      }
    };
    return {
      describe: async (target, { key }) => {
        const caller = whose(key);
        return this.#calls.describe(targetOf(target, caller), caller);
      },
      call: async ({ target, key, header, requestHead, ...call }) => {
        const caller = callerOf(key, requestHead);
        const more = {
          debug: header("pilotlight-debug") === "1",
          prefer: header("pilotlight-prefer"),
          requestId: header("x-request-id"),
          traceparent: header("traceparent"),
        };
        const explained = (run: Run | undefined): readonly string[] => {
          const may = run !== undefined && header("pilotlight-explain") === "1" && mayExplain(caller, run.task.tenant);
          const accepted = run?.later?.job;
          const timing = may ? ["Server-Timing", accepted === undefined ? serverTiming(run) : acceptedTiming(run, accepted.decision)] : [];
          const { memo, task, trace } = run ?? {};
          const policy = task?.version.manifest.idempotent;
          if (run === undefined || memo === undefined || policy === undefined) return timing;
          const obstacle_ = obstacle(trace?.notes ?? 0, policy);
          return [...timing, "Cache-Status", cacheStatus(memo.verdict, obstacle_, mayExplain(caller, run.task.tenant))];
        };
        try {
          const request = {
            head: requestHead,
            header: (name: string, { tenant }: Task) =>
              name === "pilotlight-debug" && !mayExplain(caller, tenant) ? undefined : header(name),
          };
          const named = targetOf(target, caller);
          const isAsync = named.kind === "task" && this.#pick(named.tenant, named.task)?.version.manifest.async === true;
          const asked = laterAsked(header, isAsync, () => this.#home.clock.time());
          if (asked !== undefined && "code" in asked) throw new ProblemError(asked.code, asked.detail);
          const capability = named.kind === "capability" ? named.capability : undefined;
          const explain = header("pilotlight-explain") === "1";
          const later = asked && { ...asked, capability, peer: requestHead().peer, explain };
          const { run, callable, json } = await this.#calls.call({ ...call, ...more, request, target: named, caller, later });
          const job = json === undefined ? run.later?.job : undefined;
          const accepted = job !== undefined && job.state !== "done" ? acceptedAnswer(job, asked?.isPreferred === true) : undefined;
          return { callable, json, accepted, headers: ["Pilotlight-Run", run.id, ...explained(run)] };
        } catch (error) {
          if (!(error instanceof ProblemError)) throw error;
          const failure = error instanceof CallFailure ? error : undefined;
          const [run, settled] = [failure?.run ?? newRunId(), failure?.settled];
          logRefused(error, caller, requestHead(), run);
          const theirs = settled?.refusal?.headers ?? [];
          return { problem: error.problem, headers: [...ourHeaders(run, error.problem), ...theirs, ...explained(settled)] };
        }
      },
    };
  }

  /** Where nobody has keys, whoever reaches the node may say what will come. */
  #hear(key: string | undefined, tenant: string | undefined, body: unknown): { readonly key: string } {
    const caller = this.#home.durable ? needInvoke(key === undefined ? undefined : this.#control.identify(key)) : OPERATOR;
    const own = caller.kind === "key" ? caller.key.tenant : undefined;
    if (own !== undefined && tenant !== undefined && tenant !== own) throw noSuch("tenant", tenant);
    const whose = own ?? tenant ?? DEFAULT_TENANT;
    this.#tenants.need(whose);
    return this.#ahead.hear(whose, whoIs(caller), parseSaid(body, this.#home.clock.time()));
  }

  /** One of the versions of a task that requests get now, by weight. */
  #pick(tenant: string, name: string): Task | undefined {
    const live = this.#router.live(tenant, name);
    if (live === undefined) return undefined;
    const [only] = live.choices;
    if (live.choices.length === 1) return only?.task;
    const total = live.choices.reduce((sum, { weight }) => sum + weight, 0);
    return pick({ choices: live.choices, total, sticky: undefined }, () => undefined, Math.random);
  }

  /** The version of a task that most requests get now. */
  #likeliest(tenant: string, name: string): Task | undefined {
    const choices = this.#router.live(tenant, name)?.choices ?? [];
    return choices.reduce<(typeof choices)[number] | undefined>(
      (most, each) => (most !== undefined && most.weight >= each.weight ? most : each),
      undefined,
    )?.task;
  }

  #health(): HealthPort {
    return {
      reasons: () => {
        if (this.#draining) return ["the node is shutting down"];
        return this.#pool.view().draining ? ["the node is drained; pilotlight cells resume has it take runs again"] : [];
      },
    };
  }

  /** What is to be done now and then, and at the end. */
  async #keepHouse(): Promise<void> {
    const { durable, state, clock, forms } = this.#home;
    try {
      await this.#usage.save();
      await this.#schedule.keepHouse();
      await this.#ahead.keep();
      this.#records.expire(clock.time());
      if (!durable) return;
      // So that a restart with the machine's clock set back brings no expired key to life.
      await state.commit(clock.changes());
      this.#programs.compiledGone(await forms.enforce(this.#compiledBytes, this.#programs.digestsInUse()));
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    this.#log.error({ err: error }, "unexpected error");
  }

  /** A run of a public task is whoever's that knows its id; any other is its caller's. */
  #maySeeJob({ tenant, task, ranBy, caller, origin }: Job, key: string | undefined): boolean {
    const asking = key === undefined ? undefined : this.#control.identify(key);
    // What the tenant's triggers have started has an id that can be worked out: that is for those who look into its runs.
    if (origin.kind !== "request" && (!this.#home.durable || (asking !== undefined && mayDebug(asking, tenant)))) return true;
    const known = this.#pick(tenant, ranBy ?? task ?? "");
    if (origin.kind === "request" && known?.version.manifest.access === "public") return true;
    return asking?.kind === "key" && caller.kind === "key" && asking.key.id === caller.id;
  }

  #maySee({ task, caller }: KnownRun, key: string | undefined): boolean {
    if (task.version.manifest.access === "public") return true;
    const asking = key === undefined ? undefined : this.#control.identify(key);
    return asking?.kind === "key" && caller.kind === "key" && asking.key.id === caller.key.id;
  }

  /** What starting a run takes now: the sidecars that would have to be started first too. */
  #outlook(program: number): Outlook | undefined {
    const own = this.#pool.outlook(program);
    const beside = this.#programs.beside(program);
    if (own === undefined || beside === undefined || beside.sidecars.length === 0) return own;
    let { startMs } = own;
    for (const { use, when } of beside.sidecars) {
      if (when !== "always" || this.#sidecars.standing(`${beside.tenant}/${use}`) > 0) continue;
      const task = this.#pick(beside.tenant, use) ?? this.#library.task(beside.tenant, use);
      startMs += (task && this.#pool.outlook(task.version.program)?.startMs) ?? 0;
    }
    return { ...own, startMs };
  }

  /** The versions of a task, `tenant/name`, that requests get now. */
  #live(key: string): readonly Task[] {
    const slash = key.indexOf("/");
    const [tenant, name] = [key.slice(0, slash), key.slice(slash + 1)];
    const live = this.#router.live(tenant, name);
    if (live !== undefined) return live.choices.map(({ task }) => task);
    const shipped = this.#library.task(tenant, name);
    return shipped === undefined ? [] : [shipped];
  }

  /** Whether requests get this version of a task now. */
  #isCurrent({ tenant, name, version }: Task): boolean {
    const live = this.#router.live(tenant, name);
    if (live === undefined) return this.#library.task(tenant, name)?.version.program === version.program;
    return live.choices.some(({ task }) => task.version.program === version.program);
  }

  /** A tenant's tasks that can stand beside others, and what Pilotlight ships. */
  #sidecarNames(tenant: string): string[] {
    const own = this.#control.live.all(tenant).filter(({ version }) => version.manifest.sidecar !== undefined);
    return [...own.map(({ name }) => name), ...this.#library.names.filter((name) => !own.some((task) => task.name === name))];
  }

  /** What guests write, in order: taps see it first, and may be the only ones to. */
  #lines(lines: readonly GuestLine[], runOf: (handle: RunHandle) => Run | undefined): void {
    for (let i = 0; i < lines.length;) {
      const { run: handle } = lines[i] as GuestLine;
      const first = i;
      while (i < lines.length && lines[i]?.run === handle) i++;
      const run = handle === undefined ? undefined : runOf(handle);
      const masked = lines.slice(first, i).map((line) => this.#masked(line, run));
      if (run?.beside !== undefined && this.#launcher.tap(run, masked)) continue;
      for (const line of masked) this.#guestLine(line, run);
    }
  }

  #masked(line: GuestLine, run: Run | undefined): GuestLine {
    const tenants = run === undefined ? this.#tenants.list().map(({ name }) => name) : [run.task.tenant];
    // Whose line it is may be unknown; then no tenant's secrets may be in it.
    const mask = (text: string): string => tenants.reduce((masked, tenant) => this.#home.secrets.mask(masked, tenant), text);
    return { ...line, text: mask(line.text), context: line.context === undefined ? undefined : mask(line.context) };
  }

  /** What a sidecar writes for a run is told of that run too. */
  #guestLine(line: GuestLine, run: Run | undefined): void {
    const main = line.on === undefined ? undefined : this.#launcher.mainOf(line.on);
    logGuestLine(this.#log, line, run, main);
    const whose = main ?? run;
    if (whose !== undefined) this.#logs.guest(whose.task, whose.id, line);
  }

  #ports(): CallPorts {
    return { executor: this.#executor, clock: systemClock, start: (run) => this.#recalls.start(run, undefined) };
  }

  #mustBeOpen(): void {
    if (this.#draining) throw new UserError("the runtime is closed: it takes no more tasks and runs");
  }

  #task(name: string): Task {
    this.#mustBeOpen();
    const { live } = this.#control;
    const task = live.of(DEFAULT_TENANT, name);
    if (task !== undefined) return task;
    const names = live.all(DEFAULT_TENANT).map((other) => other.name);
    throw new UserError(
      `there is no task ${JSON.stringify(name)}; ${names.length === 0 ? "none is deployed" : `deployed are ${names.join(", ")}`}`,
    );
  }
}

/** Whoever calls functions shows a key, of public tasks too: routes are for the public. */
function needInvoke(caller: Caller | undefined): Caller {
  const how = "Calls of functions take a key with the scope invoke: Pilotlight-Key or Authorization: Bearer pl_…";
  if (caller === undefined) throw new ProblemError("request/unauthorized", how);
  if (caller.kind === "key" && !caller.may.has("invoke"))
    throw new ProblemError("request/forbidden", "This takes a key with the scope invoke.");
  return caller;
}

function isLoopback(peer: string): boolean {
  return peer === "127.0.0.1" || peer === "::1" || peer.startsWith("127.") || peer.startsWith("::ffff:127.");
}
