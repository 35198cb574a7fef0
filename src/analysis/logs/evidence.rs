//! What an application says of troubles that are its own: memory, permissions, missing files,
//! credentials that were turned down, panics. They tell the causes of a crash apart that no policy
//! is to blame for.

use std::sync::LazyLock;

use serde::Serialize;

use super::LogClass;
use super::rules::Table;

/// What kind of trouble a line tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// The JVM's heap is full, or could not be reserved.
    JvmHeap,
    /// No memory, in another runtime.
    OutOfMemory,
    /// A file, a port or an operation that the process may not use (EACCES, EPERM).
    Permission,
    /// The port is taken (EADDRINUSE).
    AddressInUse,
    /// A file system that is mounted read-only (EROFS).
    ReadOnlyFileSystem,
    /// No space, or no inodes, left (ENOSPC, EDQUOT).
    NoSpace,
    /// An executable of another architecture, or a script without an interpreter.
    ExecFormat,
    /// No such command.
    CommandNotFound,
    /// A server turned the credentials down.
    AuthFailed,
    /// A setting or an environment variable that is not there.
    MissingConfig,
    /// A file, a module or a directory that is not there.
    MissingFile,
    /// The server was reached and is not ready to serve (starting up, loading, in recovery).
    DependencyNotReady,
    /// Something was reached and answered with HTTP 5xx.
    HttpServerError,
    /// A fault of the machine code (SIGSEGV, SIGABRT, SIGBUS).
    Segfault,
    /// The application's own error: the head of a panic, an exception, a fatal message.
    AppError,
}

/// One piece of evidence, quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What it tells of.
    pub kind: EvidenceKind,
    /// The log's line, without credentials.
    pub line: String,
    /// The part of the line that says it, where the line was JSON or wrapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who answered, where something was reached and turned the program away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port of who answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The line's number in the log, from 1.
    pub line_number: usize,
    /// The number of the last line that said the same.
    pub last_line: usize,
    /// How often it was said.
    pub count: usize,
}

struct Sign {
    kind: EvidenceKind,
    pattern: &'static str,
}

const fn sign(kind: EvidenceKind, pattern: &'static str) -> Sign {
    Sign { kind, pattern }
}

use EvidenceKind::{
    AddressInUse, AppError, AuthFailed, CommandNotFound, DependencyNotReady, ExecFormat, HttpServerError, JvmHeap,
    MissingConfig, MissingFile, NoSpace, OutOfMemory, Permission, ReadOnlyFileSystem, Segfault,
};

const SIGNS: &[Sign] = &[
    sign(
        JvmHeap,
        r"java\.lang\.OutOfMemoryError|could not reserve enough space for .{0,40}heap|java heap space|GC overhead limit exceeded|insufficient memory for the Java Runtime|initial heap size set to a larger value|too small (?:initial|maximum) heap|unable to allocate .{0,60}(?:heap|card table|bit map)",
    ),
    sign(
        OutOfMemory,
        r"JavaScript heap out of memory|runtime: out of memory|cannot allocate memory|memory allocation of \d+ bytes failed|std::bad_alloc|(?-i:(?:\b|_Array)MemoryError)\b|unable to allocate [\d.]+ [KMGT]i?B\b|allowed memory size of \d+ bytes exhausted|\bENOMEM\b|out of memory: kill|failed to allocate memory|System\.OutOfMemoryException|NoMemoryError|OOM command not allowed",
    ),
    sign(ReadOnlyFileSystem, r"read-only file ?system|ReadOnlyFileSystem|\bEROFS\b"),
    sign(
        Permission,
        r"permission denied|\bEACCES\b|\bEPERM\b|operation not permitted|AccessDeniedException|access to the path .{1,200} is denied|must be run as root|is forbidden: user \x22system:serviceaccount|cannot (?:list|get|watch|create|update|patch|delete) resource \x22|requires root|is not writable|not owned by|wrong ownership",
    ),
    sign(
        AddressInUse,
        r"\bEADDRINUSE\b|address (?:is )?already in use|\bAddrInUse\b|address in use\b|port \d+ (?:is |was )?(?:already )?(?:in use|allocated|being used)|only one usage of each socket address|failed to bind to .{0,80}in use|java\.net\.BindException",
    ),
    sign(NoSpace, r"no space left on device|\bENOSPC\b|disk quota exceeded|disk (?:is )?full\b"),
    sign(
        ExecFormat,
        r"exec format error|rosetta error: failed to open elf|qemu-\w+: could not open|cannot execute binary file|bad ELF interpreter|wrong ELF class|not a dynamic executable",
    ),
    sign(
        CommandNotFound,
        r"(?:^|: )(?:\d+: )?[\w./-]+: (?:command )?not found$|command not found|executable file not found in \$PATH|exec: .{0,200}: no such file or directory|can't execute '|(?:^|[/ ])env: .{1,80}: no such file or directory|exec /\S+: no such file",
    ),
    sign(
        AuthFailed,
        r"(?:password|pam|peer|ident|ldap|md5|scram\S*|gssapi) authentication failed|authentication (?:failed|failure|error|required)\b|access denied for user|\bWRONGPASS\b|\bNOAUTH\b|invalid (?:username|password|credentials|api[ _-]?key)|login failed for user|ORA-01017|ORA-28000|ACCESS_REFUSED|\b401 (?:client error: )?unauthorized|status(?:[ _]?code)?[ =:\x22]+401\b|bad user ?name or password|not authori[sz]ed to|SASL authentication|Unauthenticated\b|no pg_hba\.conf entry|role \x22[^\x22]+\x22 does not exist|database \x22[^\x22]+\x22 does not exist|unknown database '|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|bad credentials|403 (?:client error: )?forbidden|SecurityTokenInvalid|connection refused[:,] (?:not authori|bad user)|username or password not allowed|authori[sz]ation violation|unable to authenticate\b|security_exception|AuthenticationException|AuthenticationError\b|(?:un)?authori[sz]ed?Exception|authentication (?:was )?(?:rejected|unsuccessful)|user (?:name )?(?:or|and) password .{0,20}(?:incorrect|invalid|wrong|not (?:valid|accepted))|(?:incorrect|wrong) (?:user ?name|password|credentials)|invalid (?:auth|access|bearer|jwt|refresh)? ?token|token (?:is |has )?expired|code: 18\b.{0,60}auth|\bauth(?:entication)? failed\b|failed to authenticate|could not authenticate|login incorrect|\b535 |5\.7\.8 |ORA-01005|sasl auth|SCRAM-SHA.{0,40}(?:fail|error)|MongoSecurityException|exception authenticating|\bcode: 403\b.{0,80}permission denied|invalid_grant|invalid_client|AADSTS\d+",
    ),
    sign(
        DependencyNotReady,
        r"the database system is (?:starting up|shutting down|in recovery|not yet accepting)|(?:redis|valkey|server) is loading|BusyLoading|state not recovered|master not discovered|MasterNotDiscovered|not primary and|NotWritablePrimary|(?:LEADER|COORDINATOR)_NOT_AVAILABLE|leader not available|coordinator is not available|server shutdown in progress|no leader elected|MASTERDOWN|NOT_LEADER_OR_FOLLOWER|not the leader|vault is sealed|\bCLUSTERDOWN\b|server is (?:starting up|shutting down)|rejecting connections",
    ),
    sign(
        MissingConfig,
        r"could not resolve placeholder|(?:environment variable|env(?:ironment)? var|setting|config(?:uration)?(?: (?:key|option|value|property))?|property|parameter|variable|option|flag|key)\b.{0,80}(?:is |are |was |must be |not )?(?:not set|is missing|required|must be set|undefined|not defined|not found|unset|is empty)|(?:missing|required|undefined|unset|no) (?:required )?(?:environment variable|env(?:ironment)? var|setting|config(?:uration)?|property|parameter|variable|option)s?\b|must (?:specify|set|provide|be set)|\bKeyError: '(?-i:[A-Z][A-Z0-9_]+)'|\$\{?[A-Z_]+\}?: (?:unbound variable|parameter not set|parameter null)|is not specified|ImproperlyConfigured|NoSuchBeanDefinition|ConfigurationError|superuser password is not",
    ),
    sign(
        MissingFile,
        r"no such file or directory|\bENOENT\b|FileNotFound|cannot find (?:the file|module|package)|Cannot open (?:file|config)|ModuleNotFoundError|ImportError: |no module named|could not find or load main class|ClassNotFoundException|NoClassDefFoundError|MODULE_NOT_FOUND|error while loading shared libraries|unable to access jarfile|file (?:does not exist|not found)|cannot load such file",
    ),
    sign(
        HttpServerError,
        r"\b50[0-4] (?:server error|internal server error|bad gateway|service unavailable|gateway[ -]time-?out)|\bHTTP/[\d.]+\x22? 50[0-4]\b|status(?:[ _]?code)?[\x22' =:(]+50[0-4]\b|(?:returned|responded with|response code|got|received)(?: error| status| http)?[: ]+50[0-4]\b|unexpected status(?: code)?:? 50[0-4]|HttpServerErrorException|(?:Internal|Bad|Gateway)\w*ServerError: 50\d",
    ),
    sign(
        Segfault,
        r"segmentation fault|\bSIG(?:SEGV|ABRT|BUS|ILL)\b|signal 11\b|core dumped|stack smashing detected|double free or corruption|free\(\): invalid|munmap_chunk|illegal instruction|unexpected fault address|access violation",
    ),
    sign(
        AppError,
        r"^panic: |\bpanicked at\b|^(?:fatal )?error: |^(?-i:[A-Z]\w*(?:::[A-Z]\w*)+): |^goroutine \d+ \[|exception in thread|unhandled (?:promise )?rejection|unhandledpromiserejection|uncaught (?:exception|error|typeerror|\w+error|pdoexception|\w+exception)|unhandled exception|PHP (?:fatal|parse) error|traceback \(most recent call last\)|^(?:\w+[.:]+)*(?-i:[A-Z])\w*(?:Error|Exception|Exit)(?: \[[A-Z_0-9]+\])?(?::|$)|\((?:Runtime|Argument|Name|NoMethod|Type|Key|Load|Standard|Syntax)Error\)|terminate called after throwing|assertion (?:failed|`)|\[?(?-i:\b(?:FATAL|CRITICAL|EMERG|ALERT|PANIC)\b)\]?[ :]|level=(?:fatal|panic|critical)|^\*\* \(\w+\)|\[(?:emerg|crit|alert|fatal)\]|application (?:failed to start|run failed|startup (?:failed|exception))",
    ),
];

static TABLE: LazyLock<Table<Sign>> = LazyLock::new(|| Table::new(SIGNS.iter().collect(), |sign| sign.pattern));

/// The kinds of trouble a line tells of, the most telling first; a connection error is no error of
/// the application's own, and a head without a kind of its own is [`EvidenceKind::AppError`].
pub(super) fn kinds(line: &str, class: Option<LogClass>) -> Vec<EvidenceKind> {
    let mut out: Vec<EvidenceKind> =
        TABLE.matches(line).filter_map(|row| TABLE.rows.get(row).map(|sign| sign.kind)).collect();
    // a server's 403 is no file's, and a command that isn't there is more than a file that isn't
    if out.contains(&AuthFailed) {
        out.retain(|kind| *kind != Permission);
    }
    if out.contains(&CommandNotFound) {
        out.retain(|kind| *kind != MissingFile);
    }
    if class.is_some() || out.len() > 1 {
        out.retain(|kind| *kind != AppError);
    }
    if class.is_some_and(|class| class != LogClass::Context) {
        // `connect: permission denied` and a refused name are the network's
        out.retain(|kind| !matches!(kind, Permission | MissingFile | MissingConfig | CommandNotFound));
    }
    // the trace's first line says nothing that its last does not
    if line.trim_start().starts_with("Traceback (most recent") {
        out.clear();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!(TABLE.compiles());
    }
}
