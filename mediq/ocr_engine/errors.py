"""Why a file was not taken as a picture: one class a reason, each with the sentence the desk is shown."""


class PictureError(Exception):
    """A file that cannot be read as a picture of a card; `str(error)` is a sentence for the desk."""

    sentence = "Berkas ini tidak dapat dibaca."

    def __init__(self, detail: str = "") -> None:
        super().__init__(self.sentence)
        self.detail = detail
        """What was found, for the log; it never quotes the file."""


class UnsupportedImage(PictureError):
    """Not one of the allowed kinds, whatever its name says."""

    sentence = "Jenis berkas ini tidak diterima. Kirim foto JPG, PNG, atau PDF."


class ImageTooLarge(PictureError):
    """More pixels than allowed; judged from the header, before anything is unpacked."""

    sentence = "Ukuran gambar terlalu besar. Kecilkan foto lalu kirim ulang."


class UnreadableImage(PictureError):
    """Empty, cut off or damaged."""

    sentence = "Berkas gambar rusak dan tidak dapat dibuka. Ambil foto baru."
