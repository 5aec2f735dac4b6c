"""What models of 50 to 500 MB, BERT-base and ViT-base take: memory and processor seconds, by case and stage."""
