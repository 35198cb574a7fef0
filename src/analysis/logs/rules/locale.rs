//! The system's messages where a log is not in English: glibc's and pgjdbc's own translations.

use super::super::LogClass::{DnsNxdomain, DnsTimeout, Refused, Reset, Timeout, Unreachable};
use super::{Rule, by, likely, sure};

/// Letters beyond ASCII are written in both cases where a message may begin with them: case is only folded for ASCII.
pub(super) const RULES: &[Rule] = &[
    sure(
        DnsTimeout,
        r"Temporärer Fehler bei der Namensauflösung|(?:É|é)chec temporaire dans la résolution du nom|Fallo temporal en la resolución|Falha temporária na resolução|Risoluzione del nome temporaneamente fallita|(?:В|в)ременный сбой в разрешении имен|(?:В|в)ременная ошибка (?:в разрешении|при разрешении)|(?:域名|名称)解析(?:暂时失败|出现暂时性错误)|名前解決に一時的(?:に失敗|な失敗)",
    ),
    sure(
        DnsNxdomain,
        r"Der Name oder der Dienst ist nicht bekannt|Nom ou service inconnu|Nombre o servicio desconocido|Nome ou serviço desconhecido|Nome o servizio sconosciuto|(?:И|и)мя или служба не известны|(?:Н|н)еизвестное имя или служба|未知的名称或服务|名称或服务未知|不知道这样的主机|名前またはサービスが不明",
    ),
    sure(
        Refused,
        r"Verbindungsaufbau abgelehnt|Verbindung (?:zu \S+ )?(?:wurde )?(?:verweigert|abgelehnt)|Connexion (?:à \S+ )?refusée|Conexión (?:a \S+ )?(?:rehusada|rechazada)|Conexão (?:com \S+ |para \S+ )?(?:foi )?recusada|Connessione (?:a \S+ )?rifiutata|(?:В|в) соединении отказано|(?:П|п)одсоединение по адресу \S+ отклонено|Połączenie odrzucone|(?:连接|连线)(?:被|遭到)?拒绝?|拒绝连接|(?:目标计算机)?积极拒绝|接続(?:が|を)拒否|연결이? ?거부|Verbinding is geweigerd",
    ),
    sure(
        Timeout,
        r"Wartezeit für die Verbindung ist abgelaufen|Zeitüberschreitung (?:der|bei der|beim) Verbindung|Connexion terminée par expiration du délai|(?:D|d)élai (?:d'attente|de connexion) (?:dépassé|expiré)|Expiró el tiempo de conexión|(?:T|t)iempo de (?:espera|conexión) (?:agotado|excedido)|Tempo esgotado para conexão|Tempo limite da conexão|Connessione scaduta|(?:В|в)ремя ожидания соединения истекло|Upłynął limit czasu połączenia|连接(?:已)?超时|連線逾時|接続がタイムアウト|연결 시간(?:이)? ?초과",
    ),
    sure(
        Unreachable,
        r"Keine Route zum Zielrechner|Netzwerk ist nicht erreichbar|Aucun chemin d'accès pour atteindre l'hôte|réseau n'est pas accessible|No existe ninguna ruta hasta el|La red es inaccesible|Não há rota para o host|Rede inacessível|Nessun instradamento per l'host|rete non è raggiungibile|(?:Н|н)ет маршрута до узла|(?:С|с)еть недоступна|没有到主机的路由|网络不可达|ホストへの経路がありません|ネットワークに(?:届きません|到達できません)",
    ),
    sure(
        Reset,
        r"Verbindung wurde vom Kommunikationspartner zurückgesetzt|Connexion ré-?initialisée par le correspondant|Conexión reinicializada por la máquina remota|Conexão fechada pela outra ponta|Connessione interrotta dal corrispondente|(?:С|с)оединение разорвано другой стороной|连接被对方重(?:设|置)|接続が相手からリセット",
    ),
    by(
        "Java pgjdbc",
        likely(
            Timeout,
            r"Der Verbindungsversuch schlug fehl|La tentative de connexion a échoué|El intento de conexión falló|Il tentativo di connessione è fallito|A tentativa de conexão falhou|(?:О|о)шибка при попытке подсоединения|尝试连线已失败|嘗試連線已失敗|接続試行は失敗しました",
        ),
    ),
];
