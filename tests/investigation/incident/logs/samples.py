"""One webhook answered 404 at 2026-11-20T11:58:01Z and one other request, as each server writes them by default."""

# ruff: noqa: E501 - lines of logs are as long as servers write them

from __future__ import annotations

import json

HOOK = "/api/payment/request-network/webhook"

_COMBINED = f'203.0.113.9 - - [20/Nov/2026:11:58:01 +0000] "POST {HOOK} HTTP/1.1" 404 17 "-" "node-fetch/1.0"'
_OTHER = '203.0.113.8 - - [20/Nov/2026:11:58:02 +0000] "GET /api/offers/7?page=2 HTTP/1.1" 200 512 "https://amn.example/" "Mozilla/5.0"'
_CADDY = {
    "level": "info", "ts": 1795175881.5241024, "logger": "http.log.access.log0", "msg": "handled request",
    "request": {"remote_ip": "203.0.113.9", "remote_port": "41342", "client_ip": "203.0.113.9", "proto": "HTTP/2.0",
                "method": "POST", "host": "amn.example", "uri": HOOK, "headers": {"User-Agent": ["node"]}},
    "bytes_read": 612, "user_id": "", "duration": 0.0009, "size": 17, "status": 404, "resp_headers": {},
}  # fmt: skip
_CONSOLE = {key: value for key, value in _CADDY.items() if key not in ("level", "ts", "logger", "msg")}
_ALB = (
    "2026-11-20T11:58:01.186641Z app/amn/50dc6c495c0c9188 203.0.113.9:2817 10.0.0.1:80 0.000 0.001 0.000 {0} {0} 612 17 "
    '"{1} HTTP/1.1" "node" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/a/b '
    '"Root=1-58337262-36d228ad5d99923122bbe354" "amn.example" "-" 0 2026-11-20T11:58:01.180000Z "forward" "-" "-" '
    '"10.0.0.1:80" "404" "-" "-"'
)
_CLOUDFRONT_FIELDS = (
    "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) "
    "cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken"
)
_IIS_FIELDS = (
    "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status "
    "sc-substatus sc-win32-status time-taken"
)


def _rows(*rows: object) -> str:
    return "\n".join(json.dumps(row) for row in rows)


SAMPLES: dict[str, str] = {
    "nginx combined": f"{_OTHER}\n{_COMBINED}",
    "nginx with more behind it": f'{_OTHER} rt=0.001\n{_COMBINED} rt=0.005 uct="0.000" urt="0.005"',
    "ingress-nginx": f"{_OTHER} 512 0.004 [amn-backend-3000] [] 10.1.2.3:3000 512 0.004 200 0f6\n"
    f"{_COMBINED} 812 0.004 [amn-backend-3000] [] 10.1.2.3:3000 17 0.004 404 8c1",
    "nginx own format, time first": f'2026-11-20T11:58:01+00:00 203.0.113.9 "POST {HOOK} HTTP/1.1" 404 0.005',
    "nginx own format, pipes": f"203.0.113.9|2026-11-20T11:58:01+00:00|POST|{HOOK}|404|17|0.005|-",
    "nginx own format, tabs": f"1795175881.123\t203.0.113.9\tPOST\t{HOOK}\tHTTP/1.1\t404\t17",
    "nginx own format, status before the request": f'20/Nov/2026:11:58:01 +0000 404 "POST {HOOK} HTTP/1.1" 0.005',
    "nginx own format, pairs": f'time=2026-11-20T11:58:01Z method=POST uri="{HOOK}?a=1" status=404 bytes=17',
    "nginx JSON with request": _rows(
        {"time_local": "20/Nov/2026:11:58:01 +0000", "request": f"POST {HOOK} HTTP/1.1", "status": "404"}
    ),
    "nginx JSON with response": _rows(
        {"time": "2026-11-20T11:58:01+00:00", "verb": "POST", "request": HOOK, "response": 404, "bytes": 17}
    ),
    "nginx JSON with its variables": _rows(
        {"msec": "1795175881.123", "request_method": "POST", "request_uri": f"{HOOK}?x=1", "status": "404",
         "uri": "/index.php", "request_time": "0.005", "upstream_status": "502"}
    ),
    "nginx JSON under names of its own": _rows(
        {"@t": "x", "wann": 1, "timestamp": "2026-11-20T11:58:01Z", "ziel": HOOK, "httpMethod": "POST", "statusCode": 404}
    ),
    "JSON with escaped slashes": _rows({"ts": 1795175881, "method": "POST", "url": HOOK, "status_code": 404}).replace(
        "/", "\\/"
    ),
    "Apache common": f'203.0.113.9 - frank [20/Nov/2026:12:58:01 +0100] "POST {HOOK} HTTP/1.0" 404 17',
    "Apache combined": _COMBINED,
    "Apache vhost_combined": f"amn.example:443 {_COMBINED}",
    "Caddy JSON": _rows(_CADDY),
    "Caddy JSON with ISO times": _rows({**_CADDY, "ts": "2026-11-20T11:58:01.524Z"}),
    "Caddy console": f"2026/11/20 11:58:01.524\t\x1b[34mINFO\x1b[0m\thttp.log.access.log0\thandled request\t"
    f"{json.dumps(_CONSOLE)}",
    "Traefik CLF": f'{_COMBINED[:-22]}"-" "-" 41 "amn@docker" "http://10.0.0.2:3000" 5ms',
    "Traefik JSON": _rows(
        {"ClientAddr": "203.0.113.9:33", "DownstreamStatus": 404, "OriginStatus": 502, "Duration": 5201223,
         "RequestMethod": "POST", "RequestPath": f"{HOOK}?x=1", "RequestProtocol": "HTTP/1.1",
         "StartLocal": "2026-11-20T12:58:01.9+01:00", "StartUTC": "2026-11-20T11:58:01.9Z", "level": "info", "msg": "",
         "request_User-Agent": "node", "time": "2026-11-20T11:58:02Z"}
    ),
    "HAProxy": "Nov 20 11:58:01 lb haproxy[14389]: 203.0.113.9:33317 [20/Nov/2026:11:58:01.655] http-in backend/srv1 "
    f'10/0/30/69/109 404 2750 - - ---- 1/1/1/1/0 0/0 {{amn.example}} {{}} "POST {HOOK} HTTP/1.1"',
    "Envoy text": f'[2026-11-20T11:58:01.310Z] "POST {HOOK} HTTP/2" 404 - 612 17 5 4 "203.0.113.9" "node" '
    '"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "amn.example" "tcp://10.0.2.1:80"',
    "Envoy JSON": _rows(
        {"authority": "amn.example", "bytes_received": 612, "method": "POST", "path": HOOK, "protocol": "HTTP/2",
         "response_code": 404, "response_code_details": "via_upstream", "start_time": "2026-11-20T11:58:01.310Z",
         "upstream_host": "10.0.2.1:80"}
    ),
    "AWS ALB": f"https {_ALB.format(404, f'POST https://amn.example:443{HOOK}?a=1')}\n"
    f"h2 {_ALB.format(200, 'GET https://amn.example:443/')}",
    "AWS classic load balancer": "2026-11-20T11:58:01.945958Z amn 203.0.113.9:2817 10.0.0.1:80 0.00007 0.00104 0.00005 404 "
    f'404 612 17 "POST http://amn.example:80{HOOK} HTTP/1.1" "node" - -',
    "AWS CloudFront": "#Version: 1.0\n#Fields: " + _CLOUDFRONT_FIELDS + "\n2026-11-20\t11:58:01\tLHR62-C2\t717\t"
    f"203.0.113.9\tPOST\td111.cloudfront.net\t{HOOK}\t404\t-\tnode/18\t-\t-\tError\txGN7\tamn.example\thttps\t612\t0.05",
    "AWS API Gateway": _rows(
        {"requestId": "a", "ip": "203.0.113.9", "requestTime": "20/Nov/2026:11:58:01 +0000", "httpMethod": "POST",
         "routeKey": f"POST {HOOK}", "status": "404", "responseLength": "17"}
    ),
    "Google load balancer": _rows(
        {"insertId": "1", "httpRequest": {"requestMethod": "POST", "requestUrl": f"https://amn.example{HOOK}",
                                          "status": 404, "userAgent": "node", "latency": "0.005s"},
         "jsonPayload": {"statusDetails": "response_sent_by_backend"}, "severity": "WARNING",
         "timestamp": "2026-11-20T11:58:01.310Z", "receiveTimestamp": "2026-11-20T11:58:09.1Z"}
    ),
    "Google load balancer as gcloud lists it": json.dumps(
        [{"httpRequest": {"requestMethod": "POST", "requestUrl": f"https://amn.example{HOOK}", "status": 404},
          "timestamp": "2026-11-20T11:58:01.310Z"}],
        indent=2,
    ),
    "Azure Application Gateway": _rows(
        {"timeStamp": "2026-11-20T11:58:01+00:00", "category": "ApplicationGatewayAccessLog",
         "properties": {"httpMethod": "POST", "requestUri": HOOK, "httpStatus": 404, "httpVersion": "HTTP/1.1",
                        "serverStatus": "404", "originalRequestUriWithArgs": HOOK}}
    ),
    "Azure as records": json.dumps(
        {"records": [{"time": "2026-11-20T11:58:01Z", "properties": {"httpMethod": "POST", "requestUri": HOOK,
                                                                     "httpStatus": 404}}]}
    ),
    "Azure Front Door": _rows(
        {"time": "2026-11-20T11:58:01.0000000Z", "category": "FrontDoorAccessLog",
         "properties": {"httpMethod": "POST", "httpVersion": "2.0", "httpStatusCode": "404",
                        "requestUri": f"https://amn.example:443{HOOK}", "clientIp": "203.0.113.9"}}
    ),
    "IIS": f"#Software: Microsoft Internet Information Services 10.0\r\n#Fields: {_IIS_FIELDS}\r\n"
    f"2026-11-20 11:58:01 10.0.0.1 POST {HOOK} - 443 - 203.0.113.9 node - 404 0 2 15\r",
    "IIS without its header": f"2026-11-20 11:58:01 10.0.0.1 POST {HOOK} - 443 - 203.0.113.9 node - 404 0 2 15",
    "pino-http": _rows(
        {"level": 30, "time": 1795175881399, "pid": 1, "hostname": "api",
         "req": {"id": 1, "method": "POST", "url": HOOK, "headers": {"host": "amn.example"}},
         "res": {"statusCode": 404, "headers": {}}, "responseTime": 5, "msg": "request completed"}
    ),
    "Docker json-file around nginx": _rows(
        {"log": _COMBINED + "\n", "stream": "stdout", "time": "2026-11-20T11:58:01.5Z"}
    ),
    "Docker json-file around pino": _rows(
        {"log": json.dumps({"req": {"method": "POST", "url": HOOK}, "res": {"statusCode": 404}}) + "\n",
         "stream": "stdout", "time": "2026-11-20T11:58:01.5Z"}
    ),
    "Kubernetes CRI around nginx": f"2026-11-20T11:58:01.123456789Z stdout F {_COMBINED}",
    "Kubernetes CRI around JSON": "2026-11-20T11:58:01.123456789Z stdout F "
    + _rows({"method": "POST", "url": HOOK, "statusCode": 404}),
    "kubectl logs --prefix --timestamps around uvicorn": "[pod/api-7d/api] 2026-11-20T11:58:01.123456789Z "
    f'INFO:     203.0.113.9:0 - "POST {HOOK} HTTP/1.1" 404 Not Found',
    "docker compose logs": f"nginx-1  | {_COMBINED}",
    "syslog around nginx": f"<190>Nov 20 11:58:01 web nginx: {_COMBINED}",
    "syslog of RFC 5424 around JSON": "<190>1 2026-11-20T11:58:01.003Z web nginx - - - "
    + _rows({"method": "POST", "uri": HOOK, "status": 404}),
    "journald": _rows({"__REALTIME_TIMESTAMP": "1795175881000000", "_COMM": "nginx", "MESSAGE": _COMBINED}),
    "Elastic Common Schema": _rows(
        {"@timestamp": "2026-11-20T11:58:01.000Z", "url": {"original": HOOK}, "log.level": "info",
         "http": {"request": {"method": "POST"}, "response": {"status_code": 404, "body": {"bytes": 17}}}}
    ),
    "Heroku router": "2026-11-20T11:58:01.123456+00:00 heroku[router]: at=info method=POST "
    f'path="{HOOK}" host=amn.example dyno=web.1 connect=0ms service=5ms status=404 bytes=17',
    "Gin": f'[GIN] 2026/11/20 - 11:58:01 | 404 |      13.2µs |     203.0.113.9 | POST     "{HOOK}"',
    "CloudWatch": json.dumps({"events": [{"timestamp": 1795175881000, "message": _COMBINED, "ingestionTime": 1}]}),
}  # fmt: skip
