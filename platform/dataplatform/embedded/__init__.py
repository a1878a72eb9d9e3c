"""Real Postgres, MongoDB and Prefect servers without Docker, shared by all processes of one HOME."""

from dataplatform.embedded.servers import Servers, start_servers, stop_servers

__all__ = ["Servers", "start_servers", "stop_servers"]
