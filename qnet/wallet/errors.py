"""Errors of keystores and passphrases."""

from qnet.errors import KeyAccessError, RejectedError, UsageError


class KeystoreFormatError(KeyAccessError):
    """A keystore file is damaged or of a kind we do not read."""

    code = "Q0602"


class WrongPassphraseError(KeyAccessError):
    """The passphrase does not open the keystore, or the file was changed."""

    code = "Q0603"


class UnsafePermissionsError(KeyAccessError):
    """Others than the owner may read a secret file."""

    code = "Q0604"


class PassphraseMissingError(UsageError):
    """No passphrase was given and nobody can be asked."""

    code = "Q0202"


class KeyExistsError(RejectedError):
    """A key of that name exists; keys are never overwritten."""

    code = "Q0907"
