head() { echo "netcheck-tools $batch $1"; }
has() { command -v "$1" >/dev/null 2>&1; }
say() { echo "$@"; }
# Hundredths of a second since some moment.
now() {
  read -r up rest </proc/uptime 2>/dev/null || { date +%s00; return; }
  whole=${up%.*}
  echo "$whole${up#*.}"
}
# Runs a command that may take so many seconds: its words in $text, its end in $code, 143 where it was stopped.
limited() {
  seconds=$1
  shift
  text=$(
    "$@" </dev/null 2>&1 &
    p=$!
    (
      sleep "$seconds" &
      s=$!
      trap 'kill $s 2>/dev/null; exit' TERM
      wait $s
      kill "$p"
    ) >/dev/null 2>&1 &
    k=$!
    wait "$p"
    c=$?
    kill "$k" 2>/dev/null
    exit "$c"
  )
  code=$?
}
# What a failed attempt means, by its words: exit codes alone tell nothing.
meaning() {
  case $text in
  *[Rr]efused* | *REFUSED*) class=refused ;;
  *rohibited* | *"not permitted"* | *"ermission denied"*) class=prohibited ;;
  *"o route"* | *nreachable*) class=unreachable ;;
  *"esolv"* | *"bad address"* | *"not known"* | *"o address"* | *DNS*) class=name ;;
  *"imed out"* | *imeout* | *TIMEOUT*) class=timeout ;;
  *)
    if [ "$code" -ge 124 ] || [ "$took" -ge $((limit * 100 - 20)) ]; then class=timeout; else class=error; fi
    ;;
  esac
}
connect() {
  case $tool in
  agnhost) limited $((limit + 2)) "$agnhost" connect --timeout="${limit}s" --protocol="$protocol" "$address" ;;
  bash) limited "$limit" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" ;;
  nc) limited "$limit" nc -zvv -w "$limit" "$1" "$2" ;;
  nce)
    limited "$limit" nc -w "$limit" "$1" "$2" -e true
    # What it runs once connected may be missing.
    case $text in *"can't execute"*) code=0 ;; esac
    ;;
  curl)
    limited $((limit + 2)) curl -sSv -g -o /dev/null --noproxy '*' --connect-timeout "$limit" -m $((limit + 1)) \
      -w 'connected %{time_connect}' "http://$address/"
    case $text in *"connected 0.000000"* | *"connected 0,000000"*) ;; *"connected "*) code=0 ;; esac
    ;;
  wget)
    limited $((limit + 2)) wget -Y off -T "$limit" -O /dev/null "http://$address/"
    case $text in *"server returned"* | *"HTTP/"* | *"connected."* | *"bad header"* | *"error getting response"*) code=0 ;; esac
    ;;
  esac
}
look_up() {
  if has getent; then
    limited $((limit * 2)) getent hosts "$1"
  elif has nslookup; then
    limited $((limit * 2)) nslookup "$1"
    case $text in
    *NXDOMAIN* | *"Name does not resolve"*) class=dns-nxdomain && return ;;
    *SERVFAIL*) class=dns-servfail && return ;;
    *REFUSED*) class=dns-refused && return ;;
    *"timed out"* | *"no servers could be reached"*) class=dns-timeout && return ;;
    esac
  else
    class=
    return
  fi
  if [ "$code" = 0 ]; then class=open; elif [ "$code" -ge 124 ]; then class=dns-timeout; else class=error; fi
}
one() {
  index=${1%%,*}
  rest=${1#*,}
  protocol=${rest##*,}
  rest=${rest%,*}
  host=${rest%,*}
  port=${rest##*,}
  # Of datagrams and associations only agnhost tells what became of them.
  case $protocol,$tool in tcp,* | *,agnhost) ;; *) return ;; esac
  case $host in *:*) address="[$host]:$port" ;; *) address="$host:$port" ;; esac
  shown=-
  case $host in *:* | *[0-9].*[0-9].*[0-9].*[0-9]) case $host in *[g-zG-Z_-]*) ;; *) shown=$host ;; esac ;; esac
  began=$(now)
  if [ "$port" = 0 ]; then
    look_up "$host"
    took=$(($(now) - began))
    [ -z "$class" ] || say "d $index $class $((took * 10)) 1 - -"
    return
  fi
  tries=0
  while :; do
    tries=$((tries + 1))
    connect "$host" "$port"
    took=$(($(now) - began))
    if [ "$code" = 0 ]; then class=open; else meaning; fi
    case $protocol,$class,$text in
    # A datagram without an answer tells nothing; what is refused comes back as an ICMP message.
    udp,timeout,*) class=open-or-filtered && break ;;
    udp,refused,*) class=refused-icmp ;;
    sctp,*"not supported"*) class=unsupported ;;
    esac
    [ "$class" = timeout ] && [ "$tries" -lt 2 ] || break
  done
  if [ "$class" = name ]; then
    look_up "$host"
    say "d $index $class $((took * 10)) 1 - -"
  else
    say "p $index $class $((took * 10)) $tries $shown -"
  fi
}
all() {
  head "${tool%e}"
  start=$(now)
  count=0
  for target in "$@"; do
    one "$target" &
    count=$((count + 1))
    # Connections are paced: a burst makes some enforcers let through what they would drop.
    [ "$count" -lt 4 ] || sleep 0.02 2>/dev/null || usleep 20000 2>/dev/null || sleep 1
  done
  wait
  echo "netcheck-end $((($(now) - start) * 10))"
}
for agent in netcheck-agent /netcheck-agent; do
  has "$agent" || continue
  if [ -n "$out" ]; then exec "$agent" --listen --timeout "$limit" --batch "$encoded"; fi
  exec "$agent" --listen --timeout "$limit" --out - --batch "$encoded"
done
tool=none
agnhost=agnhost
[ ! -x /agnhost ] || agnhost=/agnhost
for python in python3 python; do
  has $python && $python -c 'import sys; sys.exit(sys.version_info < (3, 3))' 2>/dev/null && tool=python && break
done
if [ $tool != none ]; then :; elif has $agnhost; then tool=agnhost; elif has bash && bash -c 'exec 3<>/dev/tcp/127.0.0.1/1' 2>&1 | grep -q efused; then
  tool=bash
elif has nc; then
  # Small builds of nc know neither -z nor -v, and some say nothing of why they failed.
  case $(nc -zvv -w 1 127.0.0.1 1 2>&1 </dev/null) in
  *efused*) tool=nc ;;
  *) case $(nc -w 1 127.0.0.1 1 -e true 2>&1 </dev/null) in *efused*) tool=nce ;; esac ;;
  esac
fi
if [ $tool != none ]; then :; elif has curl; then tool=curl; elif has wget; then tool=wget; fi
if [ -n "$out" ] && [ -w "$out" ]; then exec >"$out"; fi
case $tool in
none) head none ;;
python)
  head python
  $python - "$limit" "$@" <<'PYTHON'
import errno, socket, sys, threading, time
limit = float(sys.argv[1])
lock = threading.Lock()
CLASSES = {errno.ECONNREFUSED: "refused", errno.ETIMEDOUT: "timeout", errno.EHOSTUNREACH: "unreachable",
           errno.ENETUNREACH: "unreachable", errno.EADDRNOTAVAIL: "unreachable", errno.EACCES: "prohibited",
           errno.EPERM: "prohibited", errno.ECONNRESET: "reset", errno.EAFNOSUPPORT: "unsupported",
           errno.EPROTONOSUPPORT: "unsupported", errno.ESOCKTNOSUPPORT: "unsupported"}
# A question for the name of the API server, which a cluster's DNS answers by itself.
QUESTION = b"\x4e\x43\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0akubernetes\x07default\x03svc\x00\x00\x01\x00\x01"
def say(*words):
    with lock:
        sys.stdout.write(" ".join(str(w) for w in words) + "\n")
        sys.stdout.flush()
def resolve(name, box):
    began = time.time()
    try:
        box.append(("open", socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)))
    except socket.gaierror as error:
        # EAI_AGAIN is silence, a server that fails, or one that can't be reached: time tells the first.
        kinds = {socket.EAI_NONAME: "dns-nxdomain"}
        if error.errno == socket.EAI_AGAIN and time.time() - began > limit * 0.9:
            kinds[socket.EAI_AGAIN] = "dns-timeout"
        box.append((kinds.get(error.errno, "error"), []))
def look_up(name):
    box = []
    thread = threading.Thread(target=resolve, args=(name, box))
    thread.daemon = True
    thread.start()
    thread.join(limit * 2)
    return box[0] if box else ("dns-timeout", [])
def datagram(family, where):
    plug = socket.socket(family, socket.SOCK_DGRAM)
    plug.settimeout(limit)
    plug.connect(where)
    for tries in (1, 2):
        try:
            plug.send(QUESTION if where[1] in (53, 5353) else b"")
            plug.recv(2048)
            return "open", tries, "-"
        except socket.timeout:
            continue
    return "open-or-filtered", tries, "-"
def connect(family, where, protocol):
    for tries in (1, 2):
        try:
            if protocol == "udp":
                return datagram(family, where)
            plug = socket.socket(family, socket.SOCK_STREAM, 132 if protocol == "sctp" else 0)
            plug.settimeout(limit)
            plug.connect(where)
            plug.close()
            return "open", tries, "-"
        except socket.timeout:
            continue
        except OSError as error:
            kind = CLASSES.get(error.errno)
            if kind == "refused" and protocol == "udp":
                kind = "refused-icmp"
            if kind != "timeout":
                return kind or "error", tries, "errno%d" % (error.errno or 0)
    return "timeout", tries, "-"
def one(word):
    index, host, port, protocol = word.split(",")
    began = time.time()
    millis = lambda: int((time.time() - began) * 1000)
    literal = ":" in host
    try:
        socket.inet_aton(host)
        literal = literal or host.count(".") == 3
    except OSError:
        pass
    if literal:
        found = [(socket.AF_INET6 if ":" in host else socket.AF_INET, host)]
    else:
        kind, addresses = look_up(host)
        say("d", index, kind, millis(), 1, "-", "search0.%d" % min(len(addresses), 255) if addresses else "-")
        found = sorted(set((a[0], a[4][0]) for a in addresses))[:16]
    if port != "0":
        for family, address in found:
            kind, tries, detail = connect(family, (address, int(port)), protocol)
            say("p", index, kind, millis(), tries, address, detail)
start = time.time()
threads = [threading.Thread(target=one, args=(word,)) for word in sys.argv[2:]]
for count, thread in enumerate(threads):
    thread.start()
    if count >= 3:
        time.sleep(0.02)
for thread in threads:
    thread.join()
say("netcheck-end", int((time.time() - start) * 1000))
PYTHON
  ;;
*) all "$@" ;;
esac
exit 0
