"""Image and text models with one space, such as CLIP and SigLIP: their files, tokenizers and export."""
