"""The link to the image on the page of a task in Airflow's UI."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ecr_docker_operator.compat import BaseOperatorLink, XCom
from ecr_docker_operator.ecr.console_url import console_url

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class EcrImageLink(BaseOperatorLink):
    """Link to the page of a task's image in the AWS console, or in the Amazon ECR Public Gallery.

    The image is known only in the task, after its templates are rendered. Airflow 3 calls :meth:`get_link` in the task
    when it ends, also after a failure, and stores the result as an XCom. Airflow 2 calls it in the webserver, where
    templates are not rendered. So the task also stores the link in the same XCom when it starts.
    """

    name = "Amazon ECR image"
    xcom_key = "_link_EcrImageLink"
    """Key of the XCom, the same as Airflow 3's default."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the URL; empty if the image is not in Amazon ECR, or AWS has no page for it."""
        # In Airflow 2's webserver, the operator is a serialized one, of another class.
        if hasattr(type(operator), "resolve_image"):
            return _find_link(operator)
        return XCom.get_value(key=self.xcom_key, ti_key=ti_key) or ""

    def store(self, operator: Any, context: Context) -> None:
        """Store the task's link as an XCom, if it has one."""
        link = _find_link(operator)
        if not link:
            return
        try:
            context["ti"].xcom_push(key=self.xcom_key, value=link)
        except Exception as error:  # noqa: BLE001 - a link must not fail the task
            log.warning("%s: its link is not stored: %r", operator.image, error)


def _find_link(operator: Any) -> str:
    try:
        image, registry = operator.resolve_image()
    except Exception as error:  # noqa: BLE001 - the task itself raises this error
        log.debug("%s: no link: %r", operator.image, error)
        return ""
    return (registry and console_url(image, registry)) or ""
