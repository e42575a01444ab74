"""`serve:`, the inference service: where it listens, what it serves, how much it takes at once and keeps."""

import ipaddress
from typing import Literal, Self

from pydantic import Field, model_validator

from contract.sections.urls import UrlSettings

ALL_MODELS = "all"


class ServeFields(UrlSettings):
    """The inference service."""

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0: all of this machine")
    port: int = Field(8080, ge=0, le=65535, description="0: any free port")
    outbox: str | None = Field(None, description="folder of the durable outbox; default: <root>-outbox")
    poll_seconds: float = Field(2.0, gt=0, description="how often the live version is looked up")
    models: list[str] | Literal["all"] = Field([], description="models to serve where `--model` names none, the default one "
                                               "first; all: every one that is published, when it is")
    loaded_bytes: int | None = Field(None, ge=1, description="bytes of weights in memory at the most: the model that was asked "
                                     "longest ago is unloaded, and loaded again when it is asked; null: no bound")
    ship_seconds: float = Field(900.0, gt=0, description="oldest row that waits in the outbox")
    ship_bytes: int = Field(64 << 20, ge=1 << 10, description="bytes that make a file")
    outbox_bytes: int = Field(2 << 30, ge=1 << 20, description="outbox size at which requests are refused")
    device: str = Field("auto", pattern="^(auto|cpu|cuda)$", description="auto (a GPU where torch can use one), cpu, or cuda: an "
                        "error where no GPU can be used")
    formats: str = Field("own", pattern="^(own|fastest)$", description="own: the live version as its card says; fastest: of it "
                         "and of the formats of its weights that held (`trueup model convert`) the fastest on this machine")
    max_batch: int = Field(7, ge=1, description="images that are computed together at the most; on a GPU more pay")
    max_delay_ms: float = Field(20.0, ge=0, description="how long a batch waits for images that are being decoded")
    lanes: int = Field(2, ge=1, description="batches side by side on a CPU when more wait, each on its part of the cores")
    queue: int = Field(256, ge=1, description="requests that wait at the most")
    max_bytes: int = Field(20 << 20, ge=1, description="largest image, in bytes")
    max_pixels: int = Field(25_000_000, ge=1, description="largest image, in pixels")
    deadline_seconds: float = Field(30.0, gt=0, description="for a request's body to come, and for a prediction to be made")
    body_rate: int = Field(1024, ge=0, description="bytes a second that a body brings at the least, 10 s after it began")
    held_bytes: int = Field(256 << 20, ge=1 << 20, description="bytes that the bodies of all requests hold together")
    key_share: float = Field(0.75, gt=0, le=1, description="of queue and held_bytes, that one key may take at the most")
    keys_max_age_s: float = Field(86400.0, gt=0, description="how long known keys and sessions work while the store is "
                                  "out of reach")
    second_approver: bool = Field(False, description="what an administrator decides on /models waits until another one "
                                  "approves it")
    open_batches: int = Field(4, ge=1, description="batches of a sample that a key holds at once, whomever it names; a person "
                              "holds one")
    trusted_proxies: list[str] = Field(["127.0.0.1", "::1"], description="addresses and networks (10.0.0.0/8) whose "
                                       "X-Forwarded-Proto and X-Forwarded-For are believed")
    stop_seconds: float = Field(60.0, ge=0, description="how long a stop ships what waits; the rest stays in the outbox")
    store_images: bool = Field(True, description="keep the pictures that are classified, without their metadata")
    redact: str | None = Field(None, description="package.module:function that redacts each picture before it is hashed, kept "
                               "and classified; its module must be in allow_modules (docs/redaction.md)")
    redact_grey16: bool = Field(False, description="whether that function takes grey of 16 bits as uint16 [height, width]; "
                                "no: it gets the upper 8 bits as RGB, and a card's levels do not apply")
    log_all_classes: bool = Field(False, description="log every class with its probability, not the top 5")
    cors_origins: list[str] = Field([], description="origins (https://…) whose pages may call the API")
    label_days: int = Field(400, ge=1, description="age of a prediction at which labels are refused")
    request_days: int = Field(2, ge=1, le=31, description="days, today's included, among whose predictions a label's request_id "
                              "is looked for where no day is named beside it")

    @property
    def cuts_to_8_bits(self) -> str | None:
        """The function that leaves 8 bits of pictures with 16; None where nothing does."""
        return None if self.redact_grey16 else self.redact

    @model_validator(mode="after")
    def _proxies_are_networks(self) -> Self:
        for text in self.trusted_proxies:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise ValueError(f"trusted_proxies: {text!r}: expected an address or a network such as 10.0.0.0/8: "
                                 f"{error}") from None
        return self
