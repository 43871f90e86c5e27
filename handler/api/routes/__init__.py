"""One file per endpoint: a function that makes an APIRouter from what it needs."""
