// What docs/parity.md compares: the features of Prefect 3, one row each, in areas. A row is an id, a tag and a sentence.
// P: to be equalled; B: what Prefect lacks or does badly, to be done better; C: what only its cloud service has.

/** Areas in which every row has to be covered by a test, or reasoned; others may have open rows. */
export const COMPLETE = ['F', 'T', 'C', 'H', 'O', 'S', 'D', 'W', 'R', 'G'];

/** Rows that are not there in the form of Prefect, and why. At most 15. */
export const REASONS = {
  F02: 'Flows are methods that return a promise; a generator does not compile. What it yields would be handed out before it is recorded, and once more when the run goes on after a crash: return a list, or make each value a task.',
  F23: 'The code of a flow comes with the application that is deployed, by whatever deploys that: it is compiled, and needs what Nest injects. Which build a run began on is kept with it.',
  F29: 'Code is not data here: a method runs where its provider was deployed, with what Nest injects. Any process of the application takes up a run without a deployment.',
  D02: 'Deployments are declared where their flow is, in TypeScript: the compiler checks names and parameters, values come from the configuration of the application, and what builds and ships it is the CI that does so anyway. A file beside the code would say the same twice.',
  D14: 'A worker is the deployed application: its code was fetched, and its dependencies installed, when that was built. For a job that is to be made otherwise, a worker of its own prepares what it starts.',
  W13: 'Containers are not started by the native workers, which execute runs here, in a thread, in a process, or behind a URL. The class for workers of other kinds is the way to them: it gives the job, and is told how it ended.',
  W14: 'As containers: by a worker of that kind on the class for workers, or behind a URL to which a push pool submits.',
  W15: 'As containers: by a worker of that kind on the class for workers, or behind a URL to which a push pool submits.',
};

const area = (letter, title, text) => ({
  letter,
  title,
  rows: text
    .trim()
    .split('\n')
    .map((line) => /^(?<id>[A-Z]\d\d) (?<tag>[PBC]) (?<feature>.+)$/.exec(line.trim()).groups),
});

export const AREAS = [
  area(
    'F',
    'Flows',
    `
F01 P A decorated method is a flow; a call is a run that ends COMPLETED and gives the value
F02 P Asynchronous functions, generators and methods can be flows
F03 P A flow has a name by default, and characters with a meaning elsewhere are refused in names
F04 P The version of a flow follows from its source when none is given
F05 P A run is named by a template or a function
F06 P Parameters are checked and converted; wrong ones fail the run before its code
F07 P Flows are retried after a delay; the states and the count of attempts tell
F08 B Delays of a flow may be listed, grow and be spread, and a condition decides on the error
F09 P A flow that takes longer than its timeout ends as TimedOut
F10 P Hooks are called on the states of a flow, in order; an error in one is only logged
F11 B A hook that a dying process owed is called all the same, once
F12 P A call may give the state in place of the value, and wait for other calls
F13 P Options can be changed for a copy; the original stays as it was
F14 P A subflow is a run linked to a task run of its caller, which shows its state
F15 P A subflow that completed is not run again when its caller is retried
F16 P What a flow prints to the console appears in its log
F17 P A running flow gives signs of life at intervals until it ends
F18 B A process that died is noticed, and its runs do not stay RUNNING
F19 P A process that is told to end brings its runs to the state that was intended: cancelled, crashed or scheduled again
F20 P The tasks of a flow can be drawn as a graph
F21 P A process that serves a flow runs its schedule by itself
F22 P A flow is deployed to a work pool, alone or with others
F23 P The code of a flow is fetched from git, a directory or a remote store
F24 P A run of a deployment is created and waited for, or not; an idempotency key gives the same run again
F25 P Waiting for a run ends within a second of its end
F26 P The final state follows from states that are returned, alone or in a list
F27 P A state may have a name of its own, which its event has too
F28 B A run whose process died goes on in another at the first step that is not recorded
F29 P A function is sent to a work pool and run there without a deployment
`,
  ),
  area(
    'T',
    'Tasks',
    `
T01 P A task is called in a flow, in a task and by itself, and its run says which
T02 P A submitted call gives a future: its result, waiting with a limit, a callback
T03 P A task is mapped over lists, with arguments that are the same for all; lists of different lengths are refused
T04 P Several futures are waited for together, or taken as they end
T05 P A call may accept that what it waits for has failed
T06 P An argument can be kept from being searched for futures
T07 P A call whose upstream failed is never made, and its run says so
T08 P Which runs the inputs of a task come from is recorded
T09 P A failed task is tried again as often as it says
T10 P The delay of a retry is a number, a list whose last entry repeats, or computed
T11 P Delays grow exponentially, up to 50 of them
T12 B Delays are really spread by jitter
T13 P A condition decides whether a task is tried again; one that throws counts as no
T14 P A task that returns a failed state is tried again as well
T15 P A task that takes too long ends as TimedOut, and is tried again
T16 B A timeout tells the work that it is over, and cuts it off
T17 P Tags come from the task and from scopes around the call
T18 P A task run is named by a template or a function
T19 P Hooks are called on the states of a task, in the order of their list
T20 P Options of a task can be changed for a copy
T21 P Tasks run side by side, never more than they may
T22 B Calls within calls do not wait for each other for ever
T23 P Tasks of one flow run on several machines
T24 P Each call of a task has a key of its own within its run; writing it twice makes one row
T25 P A late write never replaces a newer state of a task
T26 B States of tasks survive a process that is killed
T27 B Task runs do not stay RUNNING when their flow run crashes
`,
  ),
  area(
    'C',
    'Caching, results and transactions',
    `
C01 P A second call with the same inputs in a run is answered from the cache
C02 P Inputs can be left out of the key
C03 P A change of the code of a task is a miss
C04 P The key may be made of the flow's parameters or the run, or there is none
C05 P Policies are combined, and ones that contradict each other refused
C06 P A function makes the key; without one nothing is cached
C07 P Records expire
C08 P A refresh executes again and replaces the record, for a task or everywhere
C09 P Keys have a store and locks of their own; with isolation, two calls execute once
C10 B Locks hold between processes without further set-up
C11 P Whether a result is kept is decided by task, flow and settings, in that order
C12 P Results are kept on disk or in object stores, and read in other processes
C13 P Results are written by serialisers that can be exchanged, errors included
C14 P Where a result is stored follows a template
C15 P One setting gives all runs their store
C16 P A result that is missing, not there yet or paused is told apart
C17 P A transaction commits at its end, at once or not at all
C18 P Hooks of a commit run in order, those of a rollback in reverse
C19 P Transactions nest, and carry values
C20 P A transaction whose key is committed is skipped
C21 P A rollback is seen in the states of its tasks
C22 B A rollback that a dying process owed happens all the same
`,
  ),
  area(
    'H',
    'People, and work in the background',
    `
H01 P A run pauses and goes on in its process, as the same attempt
H02 P A pause with a key happens once, also after a retry
H03 P A pause that lasts too long fails the run
H04 P A suspended run leaves its process and goes on in another
H05 P A run waits for typed input with defaults and a description; what is wrong is refused
H06 P A run is resumed with input by form and by API
H07 P Runs send each other input
H08 B Input arrives within a second, not with the next poll
H09 P A task is put into the background and run by whoever serves it
H10 P Who serves tasks takes a bounded number at a time, and tells its status
H11 P A background task is tried again after its delay, anywhere
H12 B The queue of background tasks survives restarts, and each runs once
H13 P Code can ask which run it is in, and tests can set the answers
H14 P Lines are logged to the run in batches, and oversized ones cut
H15 B Lines logged a second before a process is killed are there
`,
  ),
  area(
    'O',
    'Rules of states',
    `
O01 P A proposal is accepted, rejected, made to wait or aborted
O02 P A proposal that is sent twice gives the state it led to
O03 P What has ended is protected, a kept result most of all
O04 P A run that is being cancelled can only become CANCELLED
O05 P A run that nothing executes is cancelled at once
O06 P Of many that claim a run one gets it
O07 P A run that is PENDING may pass through its sub-states, and keeps time and lease
O08 P A run starts when it is due, and who comes early is told when
O09 P A failure of a flow becomes its next attempt while retries remain
O10 P So does one of a task; delays follow their list and are spread
O11 P Only what is scheduled becomes late, and once
O12 P A late run of a deployment that is full is cancelled where it does not queue
O13 P A lease on a slot is checked when a run starts, and taken anew when it is gone
O14 P Slots are given back on every way out
O15 P A subflow is not suspended, nor is what nobody could start again
O16 P A paused run goes on, is scheduled or ends, and fails once its time is over
O17 P A task run with a known cache key ends with what is remembered, unless it refreshes
O18 P Slots of tags: who finds none waits, at a limit of 0 for good
O19 P Tasks of a flow run that does not run do not start
O20 P A further attempt is named Retrying, a run from anew Rerunning
O21 P A forced state goes past the rules, but does not lose a result
O22 P Times and counts of a run follow from its states
O23 P States of one run have times of their own
O24 P A task run that stands for a subflow shows its state
O25 P Every state is an event, and each names the one before it
O26 P A rule that was overruled leaves nothing behind
O27 B A retry that waits in its process is not taken by another
`,
  ),
  area(
    'S',
    'Schedules and services',
    `
S01 P Cron, in time zones
S02 P Intervals from an anchor, over changes of daylight saving time
S03 P Recurrence rules, with exceptions
S04 P Runs are created some way ahead, between limits
S05 P Each time of a schedule makes one run, whoever asks
S06 P A new schedule has runs within five seconds
S07 P A changed schedule drops the runs it had made
S08 P Schedules and deployments are switched off, and their runs go
S09 P A schedule has parameters of its own, and a slug
S10 B What was missed is caught up with, skipped or done once, as one likes
S11 B A range of the past is filled in
S12 B A schedule makes no more runs than it may
S13 P A run that nobody takes up is late after 15 seconds
S14 P A worker that is not heard of is offline, and its pool not ready
S15 P Deployments and queues that nobody polls are not ready after a minute
S16 B What a cancelled flow run started is cancelled, however much it is
S17 P A cancellation that nobody carries out is completed after five minutes
S18 B All pauses that have expired end, however many
S19 P A slot whose lease has expired is free
S20 B Leases survive a restart
S21 P Events are stored in batches, each once
S22 B A burst of events loses none
S23 P Old events are removed, by type
S24 P Old runs, logs and artifacts are removed
S25 P Services run apart, and several times
S26 B One of several servers may die, with PostgreSQL alone
`,
  ),
  area(
    'E',
    'Events and automations',
    `
E01 P Events are sent over WebSocket, HTTP and from code, and stored once
E02 P Events have limits in labels, relations and size
E03 P Events are found by each of their fields
E04 P Events are found by text, with exclusions and phrases
E05 P Events are counted by time, name and resource
E06 P A subscription begins with what was, without a gap or a double
E07 P Events of runs name what they relate to
E08 P Patterns match with wildcards, negations and lists
E09 P Several conditions on related resources must all be met
E10 P A trigger fires when enough happens within a time
E11 P A trigger counts for each of something apart
E12 P A trigger waits for one event after another
E13 P A trigger fires when something does not happen
E14 P Signs of life keep such a trigger from firing
E15 P Triggers combine: any, all, some
E16 P Triggers combine in order
E17 P Combined triggers combine
E18 P Events that come out of order are put in order
E19 P Events that come late do not fire what they should not
E20 C A trigger looks at a figure over time
E21 P Each of twenty actions
E22 P An action acts on the run that the event is about
E23 P Texts of actions are templates, within limits
E24 P Parameters of actions keep their types
E25 P Automations that would start themselves are refused
E26 P Firing and acting are events
E27 B Actions are tried again and recorded
E28 B An action that is delivered twice acts once
E29 P Triggers of a deployment come and go with it
E30 P Automations are switched off, and go with their owner
E31 P An automation made on one server fires on the others within a second
E32 C Webhooks of others become events
`,
  ),
  area(
    'D',
    'Deployments',
    `
D01 P Deploying twice updates
D02 P A file describes deployments and the steps to make them
D03 P Parameters are held to the schema
D04 P Settings of infrastructure are held to the schema of the pool
D05 P Parameters refer to variables and blocks
D06 P A deployment runs no more often at once than it may
D07 B Runs that queue go on in order, and within a second
D08 P Runs beyond the limit are cancelled
D09 P A slot of a run that never starts is given back
D10 B Runs beyond the limit replace the ones before
D11 C Deployments have versions to go back to
D12 P Many runs are created, or deleted, at once
D13 P Tags, labels and the creator are handed on to runs
D14 P Code is fetched by steps, in order
`,
  ),
  area(
    'W',
    'Work pools and workers',
    `
W01 P Pools of each type, with a form made of their schema
W02 P A pool has a default queue, and unknown ones are created
W03 P Queues have priorities without gaps or doubles
W04 B Limits of pools, queues and workers hold under any number of workers
W05 P Pools and queues are paused
W06 P Settings of infrastructure are merged, by key
W07 P A worker is listed, and online while it is heard of
W08 P Workers look ahead, take as many as they may, and end after a single look if told to
W09 P Of workers that take one run, one gets it
W10 P A cancelled run's process is told, and then killed
W11 P An exit code becomes CRASHED with an explanation
W12 P Runs in processes of their own
W13 P Runs in containers
W14 P Runs in Kubernetes, watched
W15 P Runs in the clouds
W16 P Workers of one's own
W17 P A worker says whether it is well
W18 P Settings are pushed to workers, and tear-downs delivered
W19 B A run whose infrastructure never reports does not stay PENDING
W20 P Slots are shown with who holds them
`,
  ),
  area(
    'R',
    'Runners',
    `
R01 P A runner takes runs up, each in a process, five at a time
R02 P Schedules pause while their runner is away
R03 P A cancellation reaches a runner, pushed or polled
R04 P Hooks of crashes and cancellations are called by the runner
R05 P A run whose process is told to end is scheduled again, for others
R06 C Pools to which the server submits
`,
  ),
  area(
    'G',
    'Concurrency limits',
    `
G01 P Limits are created, changed, switched off and reset
G02 P Slots of several limits are taken together or not at all
G03 P Who finds no slot is told when to ask again
G04 P Slots that decay limit a rate
G05 P Leases on slots are renewed, expire, and name their holder
G06 P Unknown limits are errors or not, and so is a renewal that fails
G07 P Tags limit how many tasks run
G08 P Waiting for a slot has limits
G09 B No slot leaks through crashes, restarts and lost leases
G10 P The pause before asking again follows how long slots are held
G11 P Taking and giving back are events
`,
  ),
  area(
    'A',
    'Objects and API',
    `
A01 P Artifacts: links, Markdown, tables, progress, images, with history
A02 P Progress moves while one looks
A03 P Variables, of JSON
A04 P Blocks: typed, nested, with secrets
A05 P Blocks that notify
A06 P Blocks that call a webhook, and ones that keep a secret
A07 P Assets, what makes them and what they are made of
A08 C Assets to browse, with their lineage
A09 P Searches that are saved
A10 P Everything can be filtered, paged and counted
A11 P Histories, lateness and counts
A12 P The graph of a run, in parts
A13 P Logs are filtered, followed and downloaded
A14 P The API describes itself
A15 P Version, health and readiness
A16 P Clients try again, as told
`,
  ),
  area(
    'L',
    'Command line',
    `
L01 P Every command, with output for programs
L02 P Profiles, and settings in order of precedence
L03 P Where a setting comes from is shown
L04 P The server is started, stopped and migrated
L05 P Everything is copied from server to server
L06 P Any route can be called, and events followed and sent
`,
  ),
  area(
    'U',
    'Dashboard',
    `
U01 P A dashboard
U02 P Runs as a list and in time, filtered, many handled at once
U03 P A run with its graph, its log and what can be done
U04 B Changes are seen within a second, without a poll
U05 P Deployments, with a form for runs and an editor for schedules
U06 P Pools, queues and workers
U07 P Blocks, variables and artifacts
U08 P Automations, step by step
U09 P Events as a feed and in time
U10 P Concurrency limits
U11 P Settings, theme, login
`,
  ),
  area(
    'X',
    'Operations and security',
    `
X01 P A password, compared in constant time
X02 C Users, roles, keys, and an audit log
X03 P Requests from elsewhere are refused; base paths and proxies work
X04 B Secrets are encrypted with a key outside the database
X05 B Metrics of runs, queues and lag
X06 P Traces across runs
X07 P Migrations both ways, at start and by command
X08 P Poolers, TLS and time limits
X09 P A server of its own for tests
X10 P Others add workers, blocks and commands
X11 B An effect that happens once, with help
`,
  ),
];
