"""Pydantic models of the answers about the galleries of a server."""

from __future__ import annotations

from pydantic import BaseModel, Field


class GalleryInfo(BaseModel):
    """A gallery of the server."""

    name: str = Field(description="Its name in paths, as in `/v1/{gallery}/search`.")
    items: int
    spaces: list[str]
    model: str | None = Field(description="Model that filled the gallery, with its fingerprint.")
    photos: bool = Field(description="Whether searches by photo are possible.")
    words: bool = Field(description="Whether the meaning of words can be searched, beside their letters.")


class Galleries(BaseModel):
    """Galleries of the server, the default one first."""

    galleries: list[GalleryInfo]


class PhotoTicket(BaseModel):
    """A ticket for the photos of a gallery."""

    ticket: str
    expires: int = Field(description="When it ends, in seconds since 1970: in one to two hours.")


class Reloaded(BaseModel):
    """What a reload did."""

    galleries: list[str] = Field(description="Names of all galleries.")
    opened: list[str] = Field(
        description="Galleries that were opened: new ones, and those with another folder, address or model."
    )
    closed: list[str] = Field(description="Galleries that are gone.")
    restart: list[str] = Field(description="Changed settings that take effect at the next start.")
